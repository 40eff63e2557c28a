"""The servers that are measured, and how each is started."""

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dyad_server.cli import envoy

from benchmarks.bench import processes
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
BUILD = ROOT / "build" / "bench"
LOGS = BUILD / "logs"
SECRET = secrets.token_hex(32)
MAIN = "server"
_START_SECONDS = 30
_STOP_SECONDS = 20

# Limits that one address with thousands of users would meet. None of them saves work.
_UNLIMITED = (
    *("--max-streams", "100000"),
    *("--max-streams-per-address", "100000"),
    *("--max-connections-per-address", "100000"),
    *("--max-frames-per-second", "1000000"),
    *("--max-bytes-per-second", "1000000000"),
)

# A port for each part of a server, by its name.
Ports = Mapping[str, int]


class StartError(Exception):
    """A server did not start; the sentence says why."""


@dataclass(frozen=True)
class Part:
    """One process of a server, started by `command`."""

    name: str
    command: Callable[[Ports], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """One server: its processes, in the order in which they start.

    Clients connect to the last one. Each has PORT and SECRET in its environment.
    """

    name: str
    title: str
    protocol: str
    parts: Sequence[Part]
    # A gRPC server that only relays.
    bare: bool = False
    # Measurements that it is for; all, where there are none.
    measures: frozenset[str] = frozenset()

    @property
    def shares(self) -> bool:
        """Whether many participants can use one network connection."""
        return self.protocol == "grpc"


class Running:
    """A server in processes of its own, while the context lasts."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._roots: dict[str, int] = {}
        self._address = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        LOGS.mkdir(parents=True, exist_ok=True)
        ports = {part.name: free_port() for part in self.server.parts}
        with ExitStack() as stack:
            for part in self.server.parts:
                self._start(stack, part, ports)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack, part: Part, ports: Ports) -> None:
        log = stack.enter_context((LOGS / f"{self.server.name}-{part.name}.log").open("wb"))
        port = ports[part.name]
        process = subprocess.Popen(
            part.command(ports),
            env=os.environ | {"PORT": str(port), "SECRET": SECRET} | dict(part.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(_stop, process)
        _await_start(process, part.name, port)
        self._roots[part.name] = process.pid
        self._address = f"127.0.0.1:{port}"

    @property
    def target(self) -> dict[str, Any]:
        """How the load generator reaches it."""
        return {
            "protocol": self.server.protocol,
            "address": self._address,
            "secret": SECRET,
            "bare": self.server.bare,
        }

    def cpu(self) -> dict[str, float]:
        """CPU seconds that each of its parts has used, with its children."""
        return {
            name: processes.cpu_seconds(processes.tree(root)) for name, root in self._roots.items()
        }

    def memory_kib(self) -> int:
        """Its memory, with its children."""
        return sum(processes.pss_kib(processes.tree(root)) for root in self._roots.values())


def _await_start(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartError(f"its {name} ended with status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise StartError(f"its {name} did not listen within {_START_SECONDS} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def program(name: str) -> str:
    """The path of a program.

    Raises:
        StartError: It is not on this machine.
    """
    found = shutil.which(name)
    if found is None:
        raise StartError(f"{name} is not on this machine")
    return found


def dyad_part(source: str, python: Path, *options: str) -> Part:
    """Dyad from a folder `server` and options of `dyad serve`, as in "server --log-level error"."""
    folder, *more = shlex.split(source)
    server = Path(folder).resolve()

    def command(ports: Ports) -> Sequence[str]:
        redis = ["--redis", f"redis://127.0.0.1:{ports['redis']}"] if "redis" in ports else []
        return [
            *(str(python), "-m", "dyad_server", "serve"),
            *("--port", str(ports[MAIN]), "--metrics-port", str(free_port())),
            *_UNLIMITED,
            *redis,
            *options,
            *more,
        ]

    path = f"{server}:{server.parent / 'clients' / 'python'}"
    return Part(MAIN, command, {"DYAD_JWT_SECRET": SECRET, "PYTHONPATH": path})


def _redis(ports: Ports) -> Sequence[str]:
    settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return [program("redis-server"), "--port", str(ports["redis"]), *settings]


def _envoy(ports: Ports) -> Sequence[str]:
    """Envoy with the configuration of deploy/, as `dyad demo` runs it."""
    text = envoy.render(
        ROOT / "deploy" / "envoy.yaml",
        listen_port=ports["envoy"],
        server_port=ports[MAIN],
        page=ROOT / "benchmarks" / "peers" / "page.html",
    )
    options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"]
    return [program("envoy"), "--config-yaml", text, *options]


def _nginx(ports: Ports) -> Sequence[str]:
    """Nginx with a configuration as its documentation of WebSockets shows."""
    template = (PEERS / "nginx.conf").read_text()
    folder = BUILD / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    values = {"PORT": ports["nginx"], "SERVER": ports[MAIN], "FOLDER": folder}
    for name, value in values.items():
        template = template.replace(f"${name}", str(value))
    (folder / "nginx.conf").write_text(template)
    return [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def every(python: Path, node: str, source: Path) -> list[Server]:
    """All servers that are known, Dyad first; `source` is its folder `server`."""
    quoted = shlex.quote(str(source))
    python_path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}"}

    def one(
        command: Callable[[Ports], Sequence[str]], environment: Mapping[str, str] | None = None
    ) -> Part:
        return Part(MAIN, command, environment or {})

    nestjs = one(lambda _: (node, str(PEERS / "nestjs" / "dist" / "main.js")))
    nestjs_ws = one(nestjs.command, {"TRANSPORTS": "websocket"})
    bare_aio = one(lambda _: [str(python), "-m", "benchmarks.peers.bare_aio"], python_path)
    python_socketio = one(lambda _: [str(python), str(PEERS / "python-socketio" / "server.py")])
    bare_go = one(lambda _: [str(BUILD / "bare_go")])
    peerjs = one(lambda _: [node, str(PEERS / "peerjs" / "server.mjs")])
    centrifugo = Part(
        MAIN,
        lambda ports: [
            *(str(BUILD / "centrifugo"), "--config", str(PEERS / "centrifugo" / "config.json")),
            *("--http_server.address", "127.0.0.1", "--http_server.port", str(ports[MAIN])),
        ],
        {"CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY": SECRET},
    )
    dyad = dyad_part(quoted, python)
    browser = frozenset({"browser"})
    whole = frozenset({"call", "shared", "frame", "paced", "idle-1k"})
    return [
        Server("dyad", "Dyad", "grpc", [dyad]),
        Server("bare-aio", "bare relay, grpc.aio", "grpc", [bare_aio], bare=True),
        Server("bare-go", "bare relay, grpc-go", "grpc", [bare_go], bare=True),
        Server("nestjs-ws", "NestJS, WebSocket only", "socket.io", [nestjs_ws]),
        Server("nestjs", "NestJS, default transports", "socket.io-polling", [nestjs]),
        Server("peerjs", "PeerJS server", "peerjs", [peerjs]),
        Server("python-socketio", "python-socketio on uvicorn", "socket.io", [python_socketio]),
        Server("centrifugo", "Centrifugo", "centrifugo", [centrifugo]),
        Server(
            "dyad-workers",
            "Dyad, --workers 2 and Redis",
            "grpc",
            [Part("redis", _redis), dyad_part(quoted, python, "--workers", "2")],
            measures=whole,
        ),
        Server(
            "dyad-browser",
            "Dyad behind Envoy, grpc-web",
            "grpc-web",
            [dyad, Part("envoy", _envoy)],
            measures=browser,
        ),
        Server(
            "nestjs-browser",
            "NestJS behind nginx, default transports",
            "socket.io-polling",
            [nestjs, Part("nginx", _nginx)],
            measures=browser,
        ),
    ]
