"""Flame graphs of the server's event loop, for whole calls and for frames.

Run: make flames
or:  python -m benchmarks.flames --help

py-spy reads the stacks of Python and of native code. It may need root, or
`sysctl kernel.yama.ptrace_scope=0`.
"""

import argparse
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import catalog, prepare
from benchmarks.bench.generator import Generator
from benchmarks.bench.servers import BUILD, ROOT, Running
from benchmarks.flames.picture import draw
from benchmarks.flames.stacks import GRPC, Stack, loop_thread, share

_RATE = 100
_AT_ONCE = 8
_WINDOW = 16


def _recorded(running: Running, seconds: int, load: Callable[[], object]) -> Counter[Stack]:
    """The stacks of the server while it is under this load."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        recorder = subprocess.Popen(
            [
                *("py-spy", "record", "--native", "--pid", str(running.pid)),
                *("--rate", str(_RATE), "--duration", str(seconds)),
                *("--format", "raw", "--output", str(raw)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        while recorder.poll() is None:
            load()
        _, said = recorder.communicate()
        if recorder.returncode != 0:
            raise SystemExit(f"py-spy failed: {said.strip()}")
        stacks = loop_thread(raw.read_text().splitlines())
    if not stacks:
        raise SystemExit("py-spy saw nothing of the event loop")
    return stacks


def main() -> None:
    """Record both flame graphs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default="/usr/bin/python3", help="the server's interpreter")
    parser.add_argument("--seconds", type=int, default=20, help="how long to record each")
    parser.add_argument("--output", type=Path, default=BUILD / "result")
    options = parser.parse_args()
    if shutil.which("py-spy") is None:
        raise SystemExit("py-spy is missing: pip install '.[bench]'")
    try:
        prepare.go(ROOT / "benchmarks" / "load", "load")()
        python = prepare.python(options.python)
    except prepare.MissingError as error:
        raise SystemExit(f"Nothing can be recorded: {error}.") from None
    dyad = catalog.every(python, "node", ROOT / "server")[0]
    options.output.mkdir(parents=True, exist_ok=True)
    with Running(dyad) as running, Generator(BUILD / "load") as generator:
        target = running.target

        def calls() -> None:
            generator.run("calls", target, count=50, at_once=_AT_ONCE, talk=True)

        def frames() -> None:
            generator.run("stream", target, group="pairs", seconds=1, window=_WINDOW)

        calls()
        stacks = {"call": _recorded(running, options.seconds, calls)}
        generator.run("open", target, group="pairs", count=_AT_ONCE, at_once=_AT_ONCE)
        stacks["frame"] = _recorded(running, options.seconds, frames)
    titles = {"call": "Whole calls, own connections", "frame": "Frames, saturated"}
    for name, title in titles.items():
        core = f"{GRPC} with its system calls: {share(stacks[name], GRPC):.0%}"
        text = f"{title}: the event loop's thread, {stacks[name].total():,} samples. {core}"
        path = options.output / f"flame-{name}.svg"
        path.write_text(draw(text, stacks[name]))
        print(path)


if __name__ == "__main__":
    main()
