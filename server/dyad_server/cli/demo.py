"""`dyad demo`: runs a server, Envoy and the call page from a checkout, until Ctrl-C."""

import asyncio
import secrets
import shutil
import signal
import socket
import sys
import time
import uuid
from pathlib import Path
from urllib.parse import urlencode

import dyad

from dyad_server.auth.mint import mint
from dyad_server.bounds import LARGEST_PORT
from dyad_server.cli import bounds, envoy
from dyad_server.config import Config
from dyad_server.errors import ConfigError, DyadError
from dyad_server.server import Server

ROOT = Path(__file__).parents[3]
_PAGE = ROOT / "build" / "web" / "index.html"
_PAIR = ROOT / "build" / "web" / "pair.mjs"


class _Tokens:
    def __init__(self) -> None:
        # Random, and never leaves the process.
        self.secret = secrets.token_hex(32)

    def mint(self, user: str, room: str = "") -> str:
        return mint(
            self.secret,
            sub=user,
            email=f"{user}@example.com",
            ttl=bounds.DEMO_TTL_SECONDS,
            room=room,
        )


async def run(*, port: int) -> None:
    """Show two calls, then serve the page on `port` until SIGINT or SIGTERM.

    Raises:
        ConfigError: a file or a program is missing, or the port is in use.
    """
    if not 0 <= port <= LARGEST_PORT:
        raise ConfigError(f"--port is not a port: {port}.")
    for needed in (_PAGE, _PAIR):
        if not needed.is_file():
            raise ConfigError(f"{needed} is missing: run `make demo` in a checkout.")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    tokens = _Tokens()
    server = Server(Config(port=0, jwt_secret=tokens.secret, reflection=True))
    await server.start()
    try:
        listen_port = port or _free_port()
        text = envoy.render(
            ROOT / "deploy" / "envoy.yaml",
            listen_port=listen_port,
            server_port=server.port,
            page=_PAGE,
        )
        async with envoy.running(text, listen_port):
            url = f"http://localhost:{listen_port}/"
            _say(f"Server on 127.0.0.1:{server.port}, Envoy and the page on {url}")
            try:
                async with asyncio.timeout(bounds.DEMO_CALL_SECONDS):
                    await _native_call(f"127.0.0.1:{server.port}", tokens)
                async with asyncio.timeout(bounds.DEMO_CALL_SECONDS):
                    await _web_call(f"http://127.0.0.1:{listen_port}", tokens)
            except TimeoutError:
                raise DyadError(
                    f"The call took longer than {bounds.DEMO_CALL_SECONDS} s."
                ) from None
            except dyad.DyadError as error:
                raise DyadError(f"The call failed: {error}") from error
            room = str(uuid.uuid4())
            _say("\nFor a call in the browser, open these links in two tabs:\n")
            for role, who in (("Caller", "alice"), ("Callee", "bob")):
                fragment = urlencode({"token": tokens.mint(who, room), "auto": "1"})
                _say(f"  {role}:  {url}#{fragment}\n")
            _say("Press Ctrl-C to stop.")
            await stopping.wait()
    finally:
        await server.stop()
    _say("\nStopped.")


async def _native_call(target: str, tokens: _Tokens) -> None:
    _say("\nA call over gRPC, with one bidirectional stream for each participant:")
    began = time.perf_counter()

    def tell(who: str, what: str) -> None:
        _say(f"  {(time.perf_counter() - began) * 1000:6.1f} ms  {who:5}  {what}")

    async with (
        dyad.connect(target, tokens.mint("alice"), plaintext=True) as alice,
        dyad.connect(target, tokens.mint("bob"), plaintext=True) as bob,
    ):
        room = await alice.create()
        tell("alice", f"created room {room.room_id}")
        await bob.join(room.room_id)
        tell("bob", "joined it")
        heard_by_alice, heard_by_bob = aiter(alice), aiter(bob)
        await anext(heard_by_alice)
        tell("alice", "was told that bob joined")
        await alice.send_offer("an offer")
        await anext(heard_by_bob)
        tell("bob", "got the offer")
        await bob.send_answer("an answer")
        await anext(heard_by_alice)
        tell("alice", "got the answer")
        await alice.send_candidate(dyad.Candidate("a candidate"))
        await anext(heard_by_bob)
        tell("bob", "got a candidate")
        await alice.leave()
        await anext(heard_by_bob)
        tell("bob", "was told that alice left")


async def _web_call(url: str, tokens: _Tokens) -> None:
    _say("\nA call over grpc-web through Envoy, with Listen and Send:")
    node = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    if node is None:
        raise ConfigError("Node is missing: run `make demo`, which installs it.")
    process = await asyncio.create_subprocess_exec(
        node,
        str(_PAIR),
        "--url",
        url,
        "--token",
        tokens.mint("alice"),
        "--token-b",
        tokens.mint("bob"),
    )
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status:
        raise DyadError("The call through Envoy failed; its output is above.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(line: str) -> None:
    print(line, flush=True)
