"""Dyad beside its peers: CPU, latency and memory of the same calls, in interleaved rounds.

Run: make bench [ROUNDS=3] [ONLY=dyad,nestjs-ws] [MEASURE=call,frame]
or:  python -m benchmarks.bench --help
"""

import argparse
import json
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from benchmarks.bench import catalog, machine, plots, prepare
from benchmarks.bench.common import Bench
from benchmarks.bench.generator import Generator
from benchmarks.bench.measures import MEASURES, Measure
from benchmarks.bench.parts import dyad_part
from benchmarks.bench.report import table
from benchmarks.bench.results import Results
from benchmarks.bench.servers import BUILD, ROOT, Running, Server, StartError

_FIRST_ROUND = 0
_BAR = 30

T = TypeVar("T")


class Progress:
    """A bar on standard error, or a line for each step where that is no terminal."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._began = time.monotonic()

    def step(self, what: str) -> None:
        """Say what comes now."""
        part = self._done / self._steps
        seconds = time.monotonic() - self._began
        text = f"{part:4.0%} {seconds:5.0f} s  {what}"
        if sys.stderr.isatty():
            bar = "█" * round(part * _BAR)
            print(f"\r\x1b[K{bar:░<{_BAR}} {text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
        self._done += 1

    def end(self) -> None:
        """Take the bar away."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement")
    parser.add_argument("--only", default="", help="servers to measure, separated by commas")
    parser.add_argument("--measure", default="", help=f"what to measure; of {','.join(MEASURES)}")
    parser.add_argument(
        "--python",
        default="/usr/bin/python3",
        help="interpreter of the Python servers; its build shows in every figure",
    )
    parser.add_argument(
        "--here",
        action="store_true",
        help="use the Python that runs this as it is, instead of an environment of --python",
    )
    parser.add_argument(
        "--server-path", default=str(ROOT / "server"), help="the folder `server` to measure as dyad"
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="NAME=FOLDER [OPTION...]",
        help="another folder `server` to measure beside, and options of `dyad serve` for it",
    )
    parser.add_argument(
        "--output", type=Path, default=BUILD / "result", help="folder of the table, plots and JSON"
    )
    parser.add_argument("--quick", action="store_true", help="tiny rounds: it works, no figures")
    return parser.parse_args(given)


def _choose(kind: str, known: Mapping[str, T], names: str) -> list[T]:
    """Those of these names, in their own order; all where there are no names."""
    wanted = names.split(",") if names else known.keys()
    if unknown := set(wanted) - known.keys():
        raise SystemExit(
            f"No {kind} is called {', '.join(sorted(unknown))}. There are {', '.join(known)}."
        )
    return [one for name, one in known.items() if name in wanted]


def _start(stack: ExitStack, chosen: Sequence[Server], results: Results) -> list[Running]:
    """Build and start the servers; note which cannot be."""
    started = []
    for server in chosen:
        print(f"== {server.title}", file=sys.stderr, flush=True)
        try:
            if server.build is not None:
                server.build()
            started.append(stack.enter_context(Running(server)))
        except (prepare.MissingError, StartError, OSError) as error:
            results.missing[server.title] = str(error)
    return started


def _plan(
    running: Sequence[Running], measures: Sequence[Measure], rounds: int
) -> Iterator[tuple[int, Measure, Sequence[Running]]]:
    """All steps: in each round, every server is measured once by every measurement."""
    for number in range(rounds):
        # In another order each round, so that none always follows the same neighbour.
        turned = [*running[number % len(running) :], *running[: number % len(running)]]
        for measure in measures:
            if measure.once and number != _FIRST_ROUND:
                continue
            servers = [one for one in turned if measure.applies(one.server)]
            if measure.together and servers:
                yield number, measure, servers
            else:
                yield from ((number, measure, [one]) for one in servers)


def _measure(
    bench: Bench, running: Sequence[Running], measures: Sequence[Measure], rounds: int
) -> Results:
    """All rounds, interleaved."""
    results = Results()
    plan = list(_plan(running, measures, rounds))
    progress = Progress(len(plan))
    for number, measure, servers in plan:
        titles = {one.server.name: one.server.title for one in servers}
        who = "all" if measure.together else ", ".join(titles.values())
        progress.step(f"round {number + 1} of {rounds}: {measure.title}, {who}")
        for name, found in measure.run(bench, servers).items():
            if isinstance(found, Exception):
                results.add(measure.name, name, None)
                what = f"{titles[name]}, {measure.title}, round {number + 1}"
                results.missing[what] = str(found)
            else:
                results.add(measure.name, name, found)
    progress.end()
    return results


def _write(folder: Path, text: str, described: dict[str, str], results: Results) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text)
    raw = {"machine": described, "rounds": results.rounds, "missing": results.missing}
    (folder / "result.json").write_text(json.dumps(raw, indent=1, ensure_ascii=False))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it with plots and raw figures."""
    options = _arguments(given)
    # As Ctrl-C: what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # 10,000 participants are as many descriptors, in a server and in the load generator.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    began = time.monotonic()
    BUILD.mkdir(parents=True, exist_ok=True)
    node = shutil.which("node") or "node"
    print("== The load generator", file=sys.stderr, flush=True)
    try:
        prepare.go(ROOT / "benchmarks" / "load", "load")()
        python = Path(sys.executable) if options.here else prepare.python(options.python)
    except prepare.MissingError as error:
        print(f"Nothing can be measured: {error}.", file=sys.stderr)
        return 1
    known = {one.name: one for one in catalog.every(python, node, Path(options.server_path))}
    extra = []
    for one in options.against:
        name, _, source = one.partition("=")
        part = dyad_part(source, python)
        extra.append(Server(name, f"Dyad, {name}", "grpc", [part]))
    chosen = _choose("server", known, options.only) + extra
    measures = _choose("measurement", MEASURES, options.measure)
    missing = Results()
    described = machine.describe(python, node)
    with ExitStack() as stack:
        running = _start(stack, chosen, missing)
        if not running:
            print(f"No server could be started: {missing.missing}", file=sys.stderr)
            return 1
        generator = stack.enter_context(Generator(BUILD / "load"))
        bench = Bench(generator, quick=options.quick)
        built = time.monotonic()
        results = _measure(bench, running, measures, options.rounds)
    seconds = time.monotonic() - built
    described["took"] = (
        f"{_minutes(built - began)} to build and start, {_minutes(seconds)} to measure"
    )
    results.missing = missing.missing | results.missing
    text = "\n".join(f"{what}: {value}  " for what, value in described.items())
    text += "\n\n" + table(results, chosen)
    _write(options.output, text, described, results)
    print(text)
    if (reason := plots.draw(results, chosen, options.output)) is not None:
        print(f"No plots: {reason}.", file=sys.stderr)
    print(f"{options.output} has the table, the plots and result.json.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
