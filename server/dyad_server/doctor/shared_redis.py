"""Each Redis that the nodes share. `examination` imports it where the settings name one."""

from collections.abc import Iterator
from dataclasses import replace

from dyad_server.config import Config
from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds
from dyad_server.doctor.clock import agreement
from dyad_server.doctor.findings import Finding, error, ok, quoted, warning
from dyad_server.engines.redis.addresses import read_addresses
from dyad_server.engines.redis.client import FAILURES, connect, explain, hang_up
from dyad_server.engines.redis.observation import Observation, observe
from dyad_server.engines.redis.store import SCHEMA, schema_sentence


async def look(config: Config, clock: Clock) -> list[Finding]:
    """Connect to each Redis and examine it; what is written there is gone in seconds."""
    addresses = read_addresses(config.redis_urls())
    found: list[Finding] = []
    for address in addresses:
        findings = await _look_at(address.url, f"{config.redis_prefix}:", clock)
        which = f"{address.name}: " if len(addresses) > 1 else ""
        found += [replace(each, sentence=which + each.sentence) for each in findings]
    return found


async def _look_at(url: str, prefix: str, clock: Clock) -> list[Finding]:
    client = connect(url, bounds.ANSWER_SECONDS)
    try:
        seen = await observe(client, prefix, clock)
    except FAILURES as failure:
        refused = await explain(client, failure)
        return [refuses(str(refused)) if refused else away(failure)]
    finally:
        await hang_up(client)
    return [*judge(seen, prefix)]


def refuses(sentence: str) -> Finding:
    """Redis does not let the doctor in."""
    return error(
        "redis_refuses", sentence, "docs/scaling.md has the login and the rights that Dyad needs."
    )


def away(failure: Exception) -> Finding:
    """Redis does not answer."""
    return error(
        "redis_away",
        f"Redis is out of reach, so no room can be entered: {_said(failure)}.",
        "Look whether it runs, and whether a firewall is between.",
    )


def _said(failure: Exception) -> str:
    return quoted(failure) or type(failure).__name__


def judge(seen: Observation, prefix: str) -> Iterator[Finding]:
    """Whether this Redis is fit."""
    yield from _rights(seen)
    yield from _kind(seen)
    yield from _policy(seen)
    yield _distance(seen)
    if seen.ahead is not None:
        yield agreement("Redis", seen.ahead, min(seen.round_trips) / 2)
    if seen.schema not in ("", str(SCHEMA)):
        said = schema_sentence(quoted(seen.schema), prefix)
        sentence, _, advice = said.partition(". ")
        yield error("redis_layout", f"{sentence}.", advice)


def _rights(seen: Observation) -> Iterator[Finding]:
    lacking = [f"the command {name}" for name in seen.refused_commands]
    lacking += [f"keys like {name}" for name in seen.refused_keys]
    if lacking:
        yield error(
            "redis_rights",
            f"The user of --redis lacks rights: {', '.join(lacking)}.",
            "Give it the rights in docs/scaling.md, with your --redis-prefix in its keys.",
        )
    else:
        yield ok("redis_rights", "The user of --redis has all rights that Dyad needs.")


def _kind(seen: Observation) -> Iterator[Finding]:
    if seen.cluster:
        yield error(
            "redis_cluster",
            "This is a Redis Cluster, where one step cannot see both rooms and leases.",
            "Use a standalone Redis, with Sentinels if it is to fail over.",
        )
    if not seen.version:
        return
    major = seen.version.partition(".")[0]
    if major.isdigit() and int(major) < bounds.REDIS_MAJOR:
        yield error(
            "redis_old",
            f"This Redis is version {quoted(seen.version)}.",
            f"Dyad needs version {bounds.REDIS_MAJOR} or later.",
        )
    else:
        yield ok("redis", f"Redis {quoted(seen.version)} answers.")


def _policy(seen: Observation) -> Iterator[Finding]:
    if seen.policy in ("", "noeviction"):
        return
    now = "evicts rooms, and so ends calls," if seen.bounded else "would evict rooms"
    then = "when its memory is full" if seen.bounded else "if it had a limit of memory"
    level = error if seen.bounded else warning
    yield level(
        "redis_evicts",
        f"Redis {now} {then}: its maxmemory-policy is {quoted(seen.policy)}.",
        "Set maxmemory-policy noeviction, and give Redis enough memory.",
    )


def _distance(seen: Observation) -> Finding:
    # The shortest, because all others include waits for a CPU.
    best = min(seen.round_trips)
    sentence = f"A round trip to Redis takes {1000 * best:.1f} ms"
    measured = {"round_trip_ms": 1000 * best}
    advice = "Put the nodes and Redis into one data centre."
    if best > bounds.REDIS_ERROR_SECONDS:
        return error("redis_far", f"{sentence}: under load a node gives up.", advice, **measured)
    if best > bounds.REDIS_WARNING_SECONDS:
        return warning(
            "redis_far", f"{sentence}: each join waits for one, or for several.", advice, **measured
        )
    return ok("redis_near", f"{sentence}.", **measured)
