"""`dyad dev`: a server, Envoy, the call page and a key, for development, until Ctrl-C."""

import asyncio
import contextlib
import io
import os
import secrets
import shlex
import signal
import socket
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from dyad_server.auth.mint import mint
from dyad_server.bounds import LARGEST_PORT
from dyad_server.cli import bounds, envoy, lan, shipped
from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.ops import logs
from dyad_server.ops.clock import LoopClock
from dyad_server.port_trial import try_port
from dyad_server.server import Server
from dyad_server.setting import ORIGIN_FORM, is_origin

_LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - --lan asks for that
# Where the usual tools serve a web app that is being developed: Vite, and most others.
_ORIGINS = ("http://localhost:5173", "http://localhost:3000")
_SECRET = "DYAD_JWT_SECRET"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says."""

    port: int
    """Of the page; 0 picks a free one."""
    grpc_port: int
    """Of the server; 0 picks a free one."""
    lan: bool
    """Whether the page is for the whole network."""
    origins: tuple[str, ...]
    """Origins of pages that may call, besides the usual ones."""


async def run(options: Options) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ConfigError: an option is invalid, a file or a program is missing, or a port is in use.
    """
    envoy.program()
    _check(options)
    page, template = shipped.call_page(), shipped.envoy_file(tls=options.lan)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    logs.configure("warning", "text")
    secret = os.environ.get(_SECRET) or secrets.token_hex(32)
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="dyad-")))
        server = Server(Config(port=options.grpc_port, jwt_secret=secret, reflection=True))
        await server.start()
        running.push_async_callback(server.stop)
        port = options.port or _free_port()
        host = lan.own_address() if options.lan else "localhost"
        now = LoopClock().unix_time()
        text = envoy.render(
            template,
            listen_host=_EVERYWHERE if options.lan else _LOOPBACK,
            listen_port=port,
            server_ports=[server.port],
            page=page,
            tls=lan.write_certificate(folder, host, now) if options.lan else None,
            origins=(*_ORIGINS, *options.origins),
        )
        await running.enter_async_context(envoy.running(text, port))
        url = f"{'https' if options.lan else 'http'}://{host}:{port}/"
        with _until_nobody_reads(stopping):
            print(_welcome(url, server.port, secret, options), flush=True)
            await stopping.wait()
            print("\nStopping.", flush=True)


@contextlib.contextmanager
def _until_nobody_reads(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` if standard output is a pipe and its reader ends, as `head` does."""
    output = sys.stdout.fileno()
    is_pipe = stat.S_ISFIFO(os.fstat(output).st_mode)
    loop = asyncio.get_running_loop()
    if is_pipe:
        # The writing end of a pipe becomes readable when nobody reads it any more.
        loop.add_reader(output, stopping.set)
    try:
        yield
    except BrokenPipeError:
        # Python writes again what it still has, when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)
    finally:
        if is_pipe:
            loop.remove_reader(output)


def _check(options: Options) -> None:
    for name, port in (("--port", options.port), ("--grpc-port", options.grpc_port)):
        if not 0 <= port <= LARGEST_PORT:
            raise ConfigError(f"{name} is not a port: {port}.")
    for origin in options.origins:
        if not is_origin(origin):
            raise ConfigError(f"--origin {origin} is not an origin. {ORIGIN_FORM}")
    for name, host, port in (
        ("--port", _EVERYWHERE if options.lan else _LOOPBACK, options.port),
        ("--grpc-port", _LOOPBACK, options.grpc_port),
    ):
        if obstacle := try_port(host, port):
            raise ConfigError(
                f"{name} {port} cannot be used: {obstacle.strerror}. This picks free ports: "
                f"{_program()} {_on_free_ports(options)}"
            )


def _on_free_ports(options: Options) -> str:
    lan = ["--lan"] if options.lan else []
    origins = [word for origin in options.origins for word in ("--origin", origin)]
    return shlex.join(["dev", "--port", "0", "--grpc-port", "0", *lan, *origins])


def _welcome(url: str, grpc_port: int, secret: str, options: Options) -> str:
    room = str(uuid.uuid4())
    alice, bob = (
        url + "#" + urlencode({"token": _token(secret, user, room), "auto": "1"})
        for user in ("alice", "bob")
    )
    origins = ", ".join((*_ORIGINS, *options.origins))
    lines = [
        "Dyad runs, for development only.",
        "",
        f"  Page:    {url}",
        f"  Server:  {_LOOPBACK}:{grpc_port} (gRPC without TLS)",
        "",
        "A call in the browser: open each link in its own tab.",
        "",
        f"  Alice:  {alice}",
        "",
        f"  Bob:    {bob}",
        "",
    ]
    if options.lan:
        lines += [
            "Or scan Bob's link with a phone in the same network. The browser warns of the",
            "certificate, because this machine made it: continue anyway.",
            "",
            _qr_code(bob),
        ]
    lines += [
        f"Your own clients (tokens are good for {bounds.DEV_TTL_SECONDS // 3600} hours):",
        "",
        f"  export ALICE={_token(secret, 'alice')}",
        f"  export BOB={_token(secret, 'bob')}",
        "",
        *(f"  {name:11} {line}" for name, line in _clients(url, grpc_port).items()),
        "",
        f"Web apps of these origins may call too: {origins}.",
        "Use --origin for others.",
        "",
        "More tokens, and the same key when you start this again:",
        "",
        f"  export {_SECRET}={secret}",
        f"  {_program()} token --sub carol",
        "",
        "Press Ctrl-C to stop.",
    ]
    return "\n".join(lines)


def _clients(url: str, grpc_port: int) -> dict[str, str]:
    """For each client, the line with which it connects."""
    target = f"localhost:{grpc_port}"
    return {
        "grpcurl": f'grpcurl -plaintext -H "authorization: Bearer $ALICE" '
        f'-d \'{{"frames":[{{"joinRoom":{{}}}}]}}\' {target} dyad.v1.Signaling/Signal',
        "Python": f'dyad.connect("{target}", token, plaintext=True)',
        "Go": f'dyad.Dial("{target}", dyad.Token(token), dyad.WithPlaintext())',
        "Kotlin": f'Dyad.connect("{target}", scope, InsecureChannelCredentials.create()) '
        "{ token }",
        "TypeScript": f'connect("{url.rstrip("/")}", token)',
    }


def _program() -> str:
    """The command `dyad` as it works in any terminal: few have its folder on their path."""
    beside = Path(sys.executable).with_name("dyad")
    return shlex.quote(str(beside)) if beside.is_file() else "dyad"


def _token(secret: str, user: str, room: str = "") -> str:
    email = f"{user}@example.com"
    return mint(secret, sub=user, email=email, ttl=bounds.DEV_TTL_SECONDS, room=room)


def _qr_code(text: str) -> str:
    try:
        import segno  # noqa: PLC0415 - only --lan needs it
    except ModuleNotFoundError:
        return "(For a QR code: pip install segno.)\n"
    code = io.StringIO()
    segno.make_qr(text, error="l").terminal(code, compact=True)
    return code.getvalue()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
