"""Keys and certificates change while `dyad serve` runs, and no call notices it."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dyad
import grpc
import pytest
from dyad_server.auth.mint import mint

from tests.support.certificates import Pair, certificate
from tests.support.ends import SignalEnd, join
from tests.support.mounted import Mounted
from tests.support.needs import needs
from tests.support.process import DYAD, Served, command, dyad_serve, hangups
from tests.support.redis import redis_server
from tests.support.until import PATIENCE

PAIRS = 8
SECRETS = {"old": secrets.token_hex(32), "new": secrets.token_hex(32)}
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
KEYLESS = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_JWT")}
UNUSED = secrets.token_hex(32)
# Far more than the test sends.
FAST = ("--max-frames-per-second", "100000", "--max-bytes-per-second", "100000000")
TRANSPORTS = pytest.mark.parametrize("grpc_api", ["auto", "aio"])


def token(kid: str, sub: str = "alice") -> str:
    return mint(SECRETS[kid], sub=sub, email="", ttl=600, kid=kid)


def tls_files(pair: Pair) -> dict[str, bytes]:
    key, cert = pair.read()
    return {"tls.key": key, "tls.crt": cert}


def trusting(pair: Pair, client: Pair | None = None) -> grpc.ChannelCredentials:
    own = client.read() if client else (None, None)
    return grpc.ssl_channel_credentials(pair.read()[1], *own)


def channel(served: Served, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """A network connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    target = f"localhost:{served.port}"
    if credentials is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, credentials, options)


async def join_with(
    served: Served, text: str, credentials: grpc.ChannelCredentials | None = None
) -> None:
    """Join with a token."""
    async with channel(served, credentials) as made:
        end = SignalEnd(made, text)
        await end.send(join())
        await end.hear()
        end.cut()


async def refusal(
    served: Served, text: str, credentials: grpc.ChannelCredentials | None = None
) -> grpc.StatusCode | None:
    """The status of a stream with a token. (A write that meets its end would hide it.)"""
    async with channel(served, credentials) as made:
        error = await SignalEnd(made, text).status()
    return error.code() if error else None


class Change:
    """How often the log has said something until now."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._before = len(served.command.said)

    async def says(self, pattern: str) -> None:
        await self._served.command.says(f"(?s).{{{self._before}}}.*{pattern}")


@dataclass
class Talk:
    """Two participants that answer each other all the time."""

    alice: dyad.Connection
    bob: dyad.Connection
    said: int = 0
    stopping: bool = False

    async def talk(self) -> None:
        ends = ((self.alice, aiter(self.bob)), (self.bob, aiter(self.alice)))
        assert isinstance(await anext(ends[1][1]), dyad.PeerJoined)
        while not self.stopping:
            for sender, receiver in ends:
                self.said += 1
                await sender.send_candidate(dyad.Candidate(str(self.said)))
                # Any other event, such as `Reconnecting`, means that a call noticed something.
                event = await anext(receiver)
                assert isinstance(event, dyad.Candidate), event
                assert event.candidate == str(self.said)


@asynccontextmanager
async def talks(served: Served, credentials: grpc.ChannelCredentials) -> AsyncIterator[list[Talk]]:
    """Calls that go on while the context lasts, each over two connections of its own."""
    target = f"localhost:{served.port}"
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        made: list[Talk] = []
        for number in range(PAIRS):
            alice, bob = [
                await stack.enter_async_context(
                    dyad.connect(target, token("old", f"{sub} {number}"), credentials=credentials)
                )
                for sub in ("alice", "bob")
            ]
            room = await alice.create()
            await bob.join(room.room_id)
            made.append(Talk(alice, bob))
            group.create_task(made[-1].talk())
        try:
            yield made
        finally:
            for talk in made:
                talk.stopping = True


async def more(talking: list[Talk]) -> None:
    """Wait until each call has said more."""
    before = [talk.said for talk in talking]
    async with asyncio.timeout(PATIENCE):
        while any(talk.said < said + 10 for talk, said in zip(talking, before, strict=True)):  # noqa: ASYNC110 - the calls announce no number
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def plain_hangups() -> Iterator[None]:
    with hangups(ignored=False):
        yield


@TRANSPORTS
async def test_keys_and_certificate_rotate_under_load_and_no_call_notices(
    tmp_path: Path, grpc_api: str
) -> None:
    keys, tls = Mounted(tmp_path / "keys"), Mounted(tmp_path / "tls")
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    keys.update({"old": SECRETS["old"]})
    tls.update(tls_files(first))
    options = (
        *("--jwt-secret-file", str(keys), "--grpc-api", grpc_api, *FAST),
        *("--tls-cert", f"{tls}/tls.crt", "--tls-key", f"{tls}/tls.key"),
    )
    async with dyad_serve(UNUSED, *options) as served, talks(served, trusting(first)) as talking:
        assert await refusal(served, token("new"), trusting(first)) is UNAUTHENTICATED
        keys.update(SECRETS)
        await served.command.says("keys reloaded")
        await more(talking)
        await join_with(served, token("new"), trusting(first))
        await join_with(served, token("old"), trusting(first))
        tls.update(tls_files(second))
        await served.command.says("certificate reloaded")
        await more(talking)
        await join_with(served, token("new"), trusting(second))
        assert await refusal(served, token("new"), trusting(first)) is grpc.StatusCode.UNAVAILABLE
        change = Change(served)
        keys.update({"new": SECRETS["new"]})
        await change.says("keys reloaded")
        await more(talking)
        assert await refusal(served, token("old"), trusting(second)) is UNAUTHENTICATED
        await join_with(served, token("new"), trusting(second))
        assert "not reloaded" not in served.command.said


async def test_sighup_reloads_a_plain_file_and_says_what_has_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRETS["old"])
    async with dyad_serve(UNUSED, "--jwt-secret-file", str(file)) as served:
        served.process.send_signal(signal.SIGHUP)
        await served.command.says("keys unchanged")
        file.write_text(SECRETS["new"] + "\n")
        served.process.send_signal(signal.SIGHUP)
        await served.command.says("keys reloaded")
        await join_with(served, token("new"))
        assert await refusal(served, token("old")) is UNAUTHENTICATED
        for secret in (*SECRETS.values(), UNUSED):
            assert secret not in served.command.said


async def test_an_unfit_change_is_logged_and_what_was_in_force_stays(tmp_path: Path) -> None:
    keys, tls = Mounted(tmp_path / "keys"), Mounted(tmp_path / "tls")
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    keys.update({"old": SECRETS["old"]})
    tls.update(tls_files(first))
    options = ("--tls-cert", f"{tls}/tls.crt", "--tls-key", f"{tls}/tls.key")
    async with dyad_serve(UNUSED, "--jwt-secret-file", str(keys), *options) as served:
        keys.update({"new": "short"})
        await served.command.says("ERROR .*keys not reloaded, what was in force stays: new: ")
        tls.update(tls_files(second) | {"tls.crt": first.read()[1]})
        await served.command.says("ERROR .*certificate not reloaded, .*--tls-key is not the")
        await join_with(served, token("old"), trusting(first))
        tls.update(tls_files(second))
        keys.update({"new": SECRETS["new"]})
        await served.command.says("keys reloaded")
        await served.command.says("certificate reloaded")
        await join_with(served, token("new"), trusting(second))


@TRANSPORTS
async def test_the_ca_of_clients_is_reloaded_too(tmp_path: Path, grpc_api: str) -> None:
    own, one, two = (certificate(tmp_path, name) for name in ("own", "one", "two"))
    ca = tmp_path / "ca"
    ca.write_bytes(one.read()[1])
    tls = ("--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", str(ca))
    async with dyad_serve(SECRETS["old"], *tls, "--grpc-api", grpc_api) as served:
        text = token("old")
        await join_with(served, text, trusting(own, one))
        assert await refusal(served, text, trusting(own, two)) is grpc.StatusCode.UNAVAILABLE
        ca.write_bytes(two.read()[1])
        served.process.send_signal(signal.SIGHUP)
        await served.command.says("certificate reloaded")
        await join_with(served, text, trusting(own, two))
        assert await refusal(served, text, trusting(own, one)) is grpc.StatusCode.UNAVAILABLE
        assert await refusal(served, text, trusting(own)) is grpc.StatusCode.UNAVAILABLE


async def test_a_secret_from_a_pipe_is_read_once_for_all_workers(tmp_path: Path) -> None:
    needs("redis-server")
    async with redis_server() as redis:
        workers = ("--workers", "2", "--redis", redis.url)
        script = f"exec \"$@\" --jwt-secret-file <(echo '{SECRETS['old']}')"
        program = ("bash", "-c", script, "bash", DYAD)
        async with dyad_serve(UNUSED, *workers, program=program) as served:
            await served.command.says("(?s)listening.*listening")
            for _ in range(4):
                await join_with(served, token("old"))


async def test_a_certificate_from_a_pipe_is_refused_instead_of_waiting_for_it_forever(
    tmp_path: Path,
) -> None:
    own = certificate(tmp_path, "own")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = ("serve", "--port", "0", "--tls-cert", own.cert, "--tls-key", str(pipe))
    env = KEYLESS | {"DYAD_JWT_SECRET": UNUSED}
    async with command(DYAD, *arguments, env=env) as started:
        assert await started.ended() == 2
        assert f"--tls-key: {pipe} is a pipe: put it into a file." in started.said


async def test_sighup_reaches_all_workers_also_those_that_are_starting(tmp_path: Path) -> None:
    needs("redis-server")
    file = tmp_path / "secret"
    file.write_text(SECRETS["old"])
    async with redis_server() as redis:
        options = ("--workers", "2", "--redis", redis.url, "--jwt-secret-file", str(file))
        async with command(DYAD, "serve", "--port", "0", *options, env=KEYLESS) as started:
            await started.says("worker started index=1")
            started.process.send_signal(signal.SIGHUP)
            listening = await started.says(r"(?s)listening address=\S+:(\d+) .*listening")
            await started.says("(?s)reloading.*reloading")
            served = Served(started, int(listening[1]))
            file.write_text(SECRETS["new"])
            change = Change(served)
            started.process.send_signal(signal.SIGHUP)
            await change.says("keys reloaded.*keys reloaded")
            for _ in range(4):
                await join_with(served, token("new"))
            assert "worker ended" not in started.said
