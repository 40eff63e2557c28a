"""A server that is measured: its processes while it runs, and what they use."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

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
    # Builds what it needs, if anything.
    build: Callable[[], None] | None = None
    # Calls under way at the same time, where calls are measured.
    calls_at_once: int = 8
    # What a reader of its row must know.
    note: str = ""

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

    @property
    def pid(self) -> int:
        """The process of the server itself."""
        return self._roots[MAIN]

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
