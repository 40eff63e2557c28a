"""The servers that are measured."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.bench import parts, prepare
from benchmarks.bench.servers import BUILD, MAIN, PEERS, ROOT, SECRET, Part, Ports, Server

_CENTRIFUGO = "github.com/centrifugal/centrifugo/v6"
_LIVEKIT = "github.com/livekit/livekit-server/cmd/server"
# Those of an extra row.
_FEW = frozenset({"call", "shared", "frame", "paced", "idle-1k"})
_BROWSER = frozenset({"browser"})


def every(python: Path, node: str, source: Path) -> list[Server]:
    """All servers that are known, Dyad first; `source` is its folder `server`."""
    return [
        *_dyad(python, source),
        *_bare(python),
        *_peers(python, node),
        *_browsers(node, source, python),
    ]


def _one(command: Callable[[Ports], Sequence[str]], **environment: str) -> list[Part]:
    return [Part(MAIN, command, environment)]


def _program(*command: str) -> Callable[[Ports], Sequence[str]]:
    return lambda _: command


def _dyad(python: Path, source: Path) -> list[Server]:
    folder = shlex.quote(str(source))
    workers = [Part("redis", parts.redis), parts.dyad_part(folder, python, "--workers", "2")]
    return [
        Server("dyad", "Dyad", "grpc", [parts.dyad_part(folder, python)]),
        Server(
            "dyad-aio",
            "Dyad, --grpc-api aio",
            "grpc",
            [parts.dyad_part(folder, python, "--grpc-api", "aio")],
            measures=_FEW,
        ),
        Server("dyad-workers", "Dyad, --workers 2 and Redis", "grpc", workers, measures=_FEW),
    ]


def _bare(python: Path) -> list[Server]:
    """Relays that check nothing."""
    path = f"{ROOT}:{ROOT / 'clients' / 'python'}"
    tonic = BUILD / "bare_tonic"
    return [
        Server(
            "bare-aio",
            "bare relay, grpc.aio",
            "grpc",
            _one(_program(str(python), "-m", "benchmarks.peers.bare_aio"), PYTHONPATH=path),
            bare=True,
        ),
        Server(
            "bare-go",
            "bare relay, grpc-go",
            "grpc",
            _one(_program(str(BUILD / "bare_go"))),
            bare=True,
            build=prepare.go(PEERS / "bare_go", "bare_go"),
        ),
        Server(
            "bare-tonic",
            "bare relay, tonic (Rust)",
            "grpc",
            _one(_program(str(tonic / "release" / "bare_tonic"))),
            bare=True,
            build=prepare.cargo(PEERS / "bare_tonic", tonic),
        ),
    ]


def _nestjs(node: str) -> Callable[[Ports], Sequence[str]]:
    return _program(node, str(PEERS / "nestjs" / "dist" / "main.js"))


def _peers(python: Path, node: str) -> list[Server]:
    nestjs = prepare.node(PEERS / "nestjs")
    return [
        Server(
            "nestjs-ws",
            "NestJS, WebSocket only",
            "socket.io",
            _one(_nestjs(node), TRANSPORTS="websocket"),
            build=nestjs,
        ),
        Server(
            "nestjs",
            "NestJS, default transports",
            "socket.io-polling",
            _one(_nestjs(node)),
            build=nestjs,
        ),
        Server(
            "peerjs",
            "PeerJS server",
            "peerjs",
            _one(_program(node, str(PEERS / "peerjs" / "server.mjs"))),
            build=prepare.node(PEERS / "peerjs"),
            note="checks no user and has no join",
        ),
        Server(
            "python-socketio",
            "python-socketio on uvicorn",
            "socket.io",
            _one(_program(str(python), str(PEERS / "python-socketio" / "server.py"))),
        ),
        Server(
            "centrifugo",
            "Centrifugo",
            "centrifugo",
            _one(parts.centrifugo, CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY=SECRET),
            build=prepare.go(PEERS / "centrifugo", "centrifugo", _CENTRIFUGO),
        ),
        Server(
            "livekit",
            "LiveKit's server",
            "livekit",
            _one(parts.livekit, LIVEKIT_KEYS=f"bench: {SECRET}"),
            measures=frozenset({"call", "meeting"}),
            build=prepare.go(PEERS / "livekit", "livekit", _LIVEKIT),
            # It tells of a participant who left up to 3 s later.
            calls_at_once=64,
            note="each participant negotiates with the server",
        ),
    ]


def _browsers(node: str, source: Path, python: Path) -> list[Server]:
    """What a browser connects to."""
    return [
        Server(
            "dyad-browser",
            "Dyad behind Envoy, grpc-web",
            "grpc-web",
            [parts.dyad_part(shlex.quote(str(source)), python), Part("envoy", parts.envoy)],
            measures=_BROWSER,
        ),
        Server(
            "nestjs-browser",
            "NestJS behind nginx, default transports",
            "socket.io-polling",
            [*_one(_nestjs(node)), Part("nginx", parts.nginx)],
            measures=_BROWSER,
            build=prepare.node(PEERS / "nestjs"),
        ),
    ]
