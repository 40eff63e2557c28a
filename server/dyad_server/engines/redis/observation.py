"""Looks at a Redis as `dyad doctor` does: its rights, its settings, its distance, its clock.

It runs every command that Dyad uses, on a key of its own that ends by itself, or so that the
command has no effect. An ACL is checked before anything else, so a command that does not fit
its key still shows whether it is allowed.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError

from dyad_server.core.clock import Clock
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.store import Keys


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen.

    Attributes:
        version: of Redis; empty if INFO is not allowed.
        cluster: whether it is a cluster.
        policy: its `maxmemory-policy`; empty if INFO is not allowed.
        bounded: whether it has a limit of memory.
        round_trips: how many seconds each of several round trips took.
        ahead: how many seconds its clock is ahead of this machine's; None if TIME is not allowed.
        schema: the layout of the data; empty if there is none.
        refused_commands: the commands that its ACL does not allow.
        refused_keys: patterns of keys that its ACL does not allow.
    """

    version: str
    cluster: bool
    policy: str
    bounded: bool
    round_trips: list[float]
    ahead: float | None
    schema: str
    refused_commands: list[str]
    refused_keys: list[str]


async def observe(client: Any, prefix: str, clock: Clock) -> Observation:
    """Look at a Redis.

    Args:
        client: from `client.connect`.
        prefix: what Dyad's keys begin with, the colon included.
        clock: of this machine.

    Raises:
        RedisError: it refuses the login, or is out of reach.
        OSError: it is out of reach.
    """
    round_trips, ahead = await _times(client, clock)
    info = await _info(client)
    keys = Keys(prefix)
    refused, families = await _refused(client, keys)
    schema = b"" if refused or families else await client.get(keys.schema) or b""
    return Observation(
        version=str(info.get("redis_version", "")),
        cluster=bool(info.get("cluster_enabled")),
        policy=str(info.get("maxmemory_policy", "")),
        bounded=bool(info.get("maxmemory")),
        round_trips=round_trips,
        ahead=ahead,
        schema=schema.decode("utf-8", "replace") if isinstance(schema, bytes) else str(schema),
        refused_commands=refused,
        refused_keys=families,
    )


def commands() -> set[str]:
    """The commands that it tries, as an ACL spells them."""
    return {_spelled(probe) for probe in [_SET, *_probes("", made=True)]}


async def _times(client: Any, clock: Clock) -> tuple[list[float], float | None]:
    round_trips: list[float] = []
    ahead: float | None = None
    for _ in range(bounds.OBSERVED_ROUND_TRIPS):
        sent, began = clock.unix_time(), clock.monotonic()
        try:
            seconds, microseconds = await client.time()
            theirs = seconds + microseconds / 1e6
        except NoPermissionError:
            theirs = None
        took = clock.monotonic() - began
        # The shortest round trip tells the time best.
        if theirs is not None and took < min(round_trips, default=float("inf")):
            ahead = theirs - (sent + took / 2)
        round_trips.append(took)
    # The first also connected.
    return round_trips[1:], ahead


async def _info(client: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = {}
        for section in ("server", "cluster", "memory"):
            found |= await client.info(section)
    except NoPermissionError:
        return {}
    return found


async def _refused(client: Any, keys: Keys) -> tuple[list[str], list[str]]:
    """The commands and the patterns of keys that the ACL does not allow."""
    name = f"doctor-{secrets.token_hex(bounds.NODE_BYTES)}"
    key = keys.lease(name)
    # A text: so the commands for hashes have no effect. It ends by itself.
    (made,) = await _run(client, [("SET", key, "1", "PX", bounds.OBSERVED_KEY_MS)])
    probes = [*_probes(key, made=not isinstance(made, NoPermissionError))]
    answers = [made, *await _run(client, probes)]
    refused_commands = [
        _spelled(probe)
        for probe, answer in zip([_SET, *probes], answers, strict=True)
        if isinstance(answer, NoPermissionError) and "to run" in str(answer)
    ]
    families = _families(keys, name)
    on_keys = [(command, *rest) for each in families.values() for command, *rest in _touches(each)]
    touched = iter(await _run(client, on_keys))
    refused = [
        pattern
        for pattern, each in families.items()
        if any(
            isinstance(answer, NoPermissionError) and "to run" not in str(answer)
            for answer in [next(touched) for _ in _touches(each)]
        )
    ]
    return refused_commands, refused


def _probes(key: str, *, made: bool) -> Iterator[tuple[Any, ...]]:
    """Each command that `client` and the scripts use, but for SET."""
    yield ("GET", key)
    yield ("EXISTS", key)
    yield ("PEXPIRE", key, bounds.OBSERVED_KEY_MS)
    yield ("HGET", key, "f")
    yield ("HMGET", key, "f")
    yield ("HDEL", key, "f")
    if made:
        # Without the text it would make a hash that never ends.
        yield ("HSET", key, "f", "1")
    yield ("XADD", key, "NOMKSTREAM", "*", "f", "1")
    yield ("XREAD", "COUNT", 1, "STREAMS", key, "0")
    yield ("XTRIM", key, "MINID", "0")
    yield ("TIME",)
    yield ("INFO", "server")
    yield ("SCRIPT", "LOAD", _SCRIPT)
    yield ("EVALSHA", _NO_SCRIPT, 1, key)
    yield ("CLIENT", "SETNAME", "dyad")
    yield ("DEL", key)


_SET = ("SET",)
_SCRIPT = "return 1"
# Of a script that nobody has: the answer is NOSCRIPT if the command is allowed.
_NO_SCRIPT = "0000000000000000000000000000000000000000"


def _families(keys: Keys, name: str) -> dict[str, str]:
    """A key of each pattern that `Keys` has."""
    made = {
        key.removesuffix(name) + "*": key
        for key in (
            keys.lease(name),
            keys.fence(name),
            keys.missing(name),
            keys.inbox(name),
            keys.room(name),
            keys.sealed(name),
            keys.handed_off(name),
        )
    }
    token = keys.token(name, name)
    return made | {
        token[: token.rindex(":") + 1] + "*": token,
        keys.schema: keys.schema,
        keys.generation: keys.generation,
    }


def _touches(key: str) -> Iterator[tuple[Any, ...]]:
    """Commands that read and write a key, without any effect."""
    yield ("GET", key)
    yield ("HDEL", key, "f")


async def _run(client: Any, commands: list[tuple[Any, ...]]) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    answers: list[Any] = await pipe.execute(raise_on_error=False)
    return answers


def _spelled(command: tuple[Any, ...]) -> str:
    words = command[:2] if command[0] in ("SCRIPT", "CLIENT") else command[:1]
    return "|".join(str(word).lower() for word in words)
