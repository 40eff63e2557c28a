"""The load generator, in a process of its own; its source is benchmarks/load."""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class LoadError(Exception):
    """A call went wrong, or a frame was lost, changed or out of order."""


@dataclass(frozen=True)
class Load:
    """What the generator did: its time, its own CPU, and what frames showed."""

    seconds: float
    cpu: float
    lost: int
    frames: int
    flow_seconds: float
    p50_ms: float
    p99_ms: float


class Generator:
    """Runs the load generator while the context lasts, and again if it gave up."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # It ends with its input.
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def run(self, do: str, server: Mapping[str, Any], **arguments: Any) -> Load:
        """Carry out one command, and return what it took.

        Raises:
            LoadError: It failed; the sentence says how.
        """
        if self._process.poll() is not None:
            self._process = self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        began = time.monotonic()
        command = {"do": do, "server": dict(server), **arguments}
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise LoadError(f"The load generator ended after {time.monotonic() - began:.1f} s.")
        answer = json.loads(line)
        if "error" in answer:
            raise LoadError(f"{do} on {server['protocol']}: {answer['error']}")
        flow = answer.get("flow", {})
        return Load(
            seconds=answer["seconds"],
            cpu=answer["cpu"],
            lost=answer["lost"],
            frames=flow.get("frames", 0),
            flow_seconds=flow.get("seconds", 0),
            p50_ms=flow.get("p50_ms", 0),
            p99_ms=flow.get("p99_ms", 0),
        )
