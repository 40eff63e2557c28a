"""The benchmark of docs/grpcio-loop.patch: the bare relay on grpc.aio, with and without it.

Run: python -m benchmarks.upstream FOLDER [--rounds 5]

FOLDER has the package `grpc` of a grpcio with the patch. Both ways to poll are in it, so
nothing else differs.
"""

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bench import prepare
from benchmarks.bench.common import Bench
from benchmarks.bench.generator import Generator
from benchmarks.bench.measures import MEASURES
from benchmarks.bench.report import table
from benchmarks.bench.results import Results
from benchmarks.bench.servers import BUILD, MAIN, ROOT, Part, Running, Server

_MEASURES = ("call", "shared", "frame", "paced")


def _server(python: Path, grpcio: Path, loop: str, title: str) -> Server:
    """The relay on one of `_LOOPS` of benchmarks/peers/bare_aio."""
    path = f"{grpcio}:{ROOT}:{ROOT / 'clients' / 'python'}"
    engine = "loop" if loop == "loop" else "poller"
    environment = {"PYTHONPATH": path, "GRPC_ASYNCIO_ENGINE": engine, "BARE_LOOP": loop}
    command = [str(python), "-m", "benchmarks.peers.bare_aio"]
    return Server(loop, title, "grpc", [Part(MAIN, lambda _: command, environment)], bare=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default="/usr/bin/python3")
    options = parser.parse_args()
    grpcio = options.folder.resolve()
    prepare.go(ROOT / "benchmarks" / "load", "load")()
    python = prepare.python(options.python)
    servers = [
        _server(python, grpcio, "loop", "the loop polls (patch)"),
        _server(python, grpcio, "uvloop", "a thread polls, uvloop"),
        _server(python, grpcio, "asyncio", "a thread polls, asyncio"),
    ]
    results = Results()
    with ExitStack() as stack:
        running = [stack.enter_context(Running(one)) for one in servers]
        bench = Bench(stack.enter_context(Generator(BUILD / "load")))
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for name in _MEASURES:
                for server, found in MEASURES[name].run(bench, running).items():
                    results.add(name, server, None if isinstance(found, Exception) else found)
                    if isinstance(found, Exception):
                        results.missing[f"{server}, {name}"] = str(found)
    print(f"load at the end: {os.getloadavg()[0]:.1f}\n\n{table(results, servers)}")


if __name__ == "__main__":
    main()
