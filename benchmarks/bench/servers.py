"""The servers that are measured, and how each is started."""

import os
import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.bench import processes

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "benchmarks" / "peers"
BUILD = ROOT / "build" / "bench"
SECRET = secrets.token_hex(32)
_START_SECONDS = 30

# Limits that one address with thousands of users would meet. None of them saves work.
_UNLIMITED = (
    *("--max-streams", "100000"),
    *("--max-streams-per-address", "100000"),
    *("--max-connections-per-address", "100000"),
    *("--max-frames-per-second", "1000000"),
    *("--max-bytes-per-second", "1000000000"),
)


class StartError(Exception):
    """A server did not start; the sentence says why."""


@dataclass(frozen=True)
class Server:
    """One server: `command` starts it, with PORT and SECRET in its environment."""

    name: str
    title: str
    protocol: str
    command: Callable[[int], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    # A gRPC server that only relays.
    bare: bool = False

    @property
    def shares(self) -> bool:
        """Whether many participants can use one network connection."""
        return self.protocol == "grpc"


class Running:
    """A server in its own process, until `stop`."""

    def __init__(self, server: Server, log: IO[bytes]) -> None:
        self.server = server
        port = free_port()
        self._address = f"127.0.0.1:{port}"
        self._process = subprocess.Popen(
            server.command(port),
            env=os.environ | {"PORT": str(port), "SECRET": SECRET} | dict(server.environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._await_start(port)
        self._pids = processes.tree(self._process.pid)

    def _await_start(self, port: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartError(f"{self.server.title} ended with {self._process.returncode}.")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise StartError(f"{self.server.title} did not listen within {_START_SECONDS} s.")

    @property
    def target(self) -> dict[str, Any]:
        """How the load generator reaches it."""
        return {
            "protocol": self.server.protocol,
            "address": self._address,
            "secret": SECRET,
            "bare": self.server.bare,
        }

    def cpu(self) -> float:
        """CPU seconds that it has used, with its children."""
        return processes.cpu_seconds(self._pids)

    def memory_kib(self) -> int:
        """Its memory, with its children."""
        return processes.pss_kib(self._pids)

    def stop(self) -> None:
        """End it, and what it started."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def dyad(name: str, title: str, source: str, python: Path) -> Server:
    """Dyad from a folder `server` and options of `dyad serve`, as in "server --log-level error"."""
    folder, *options = shlex.split(source)
    server = Path(folder).resolve()
    return Server(
        name,
        title,
        "grpc",
        lambda port: [
            *(str(python), "-m", "dyad_server", "serve"),
            *("--port", str(port), "--metrics-port", str(free_port())),
            *_UNLIMITED,
            *options,
        ],
        {
            "DYAD_JWT_SECRET": SECRET,
            "PYTHONPATH": f"{server}:{server.parent / 'clients' / 'python'}",
        },
    )


def every(python: Path, node: str, source: Path) -> list[Server]:
    """All servers that are known, Dyad first; `source` is its folder `server`."""
    python_path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}"}
    nestjs = (node, str(PEERS / "nestjs" / "dist" / "main.js"))
    return [
        dyad("dyad", "Dyad", shlex.quote(str(source)), python),
        Server(
            "bare-aio",
            "bare relay, grpc.aio",
            "grpc",
            lambda _: [str(python), "-m", "benchmarks.peers.bare_aio"],
            python_path,
            bare=True,
        ),
        Server(
            "bare-go",
            "bare relay, grpc-go",
            "grpc",
            lambda _: [str(BUILD / "bare_go")],
            bare=True,
        ),
        Server(
            "nestjs-ws",
            "NestJS, WebSocket only",
            "socket.io",
            lambda _: nestjs,
            {"TRANSPORTS": "websocket"},
        ),
        Server("nestjs", "NestJS, default transports", "socket.io-polling", lambda _: nestjs),
        Server(
            "peerjs",
            "PeerJS server",
            "peerjs",
            lambda _: [node, str(PEERS / "peerjs" / "server.mjs")],
        ),
        Server(
            "python-socketio",
            "python-socketio on uvicorn",
            "socket.io",
            lambda _: [str(python), str(PEERS / "python-socketio" / "server.py")],
        ),
    ]
