"""Stacks of py-spy, made readable: what a thread did, and how often it was seen doing it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

Stack = tuple[str, ...]

# What a name has of Dyad's own code, and the name of all that is below grpcio's Python.
DYAD = "dyad/"
GRPC = "gRPC's core"

# The function of the event loop from which all its work is called.
_LOOP = "BaseEventLoop._run_once"
# The thread waits in it.
_WAITING = "epoll_wait"
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*?)(:\d+)?\)")
_PACKAGE = "dyad_server/"


def _readable(frame: str) -> str:
    """The function with its file; or the library, where it has no symbols."""
    found = _FRAME.fullmatch(frame)
    if found is None:
        return frame
    function, file = found["function"], found["file"].replace(_PACKAGE, DYAD)
    if "cygrpc" in file:
        return GRPC
    library = file.partition(".")[0] if ".so" in file else file
    return library if function.startswith("0x") else f"{function} ({library})"


def loop_thread(lines: Iterable[str]) -> Counter[Stack]:
    """The stacks of the event loop's thread, without the samples in which it waits.

    `lines` are what `py-spy record --format raw` writes: frames, and a number.
    """
    stacks: Counter[Stack] = Counter()
    for line in lines:
        text, _, seen = line.rpartition(" ")
        frames = text.split(";")
        names = [frame.partition(" ")[0] for frame in frames]
        if _LOOP in names and names[-1] != _WAITING:
            below = frames[names.index(_LOOP) :]
            # Frames of the same library, or of a function that calls itself, are one.
            stacks[tuple(name for name, _ in groupby(map(_readable, below)))] += int(seen)
    return stacks


def share(stacks: Counter[Stack], name: str) -> float:
    """The part of the time that this function takes, with all that it calls."""
    return sum(seen for stack, seen in stacks.items() if name in stack) / stacks.total()


def children(stacks: Counter[Stack], depth: int) -> Iterator[tuple[str, Counter[Stack]]]:
    """The functions at this depth, most frequent first, each with its stacks."""
    found: dict[str, Counter[Stack]] = {}
    for stack, seen in stacks.items():
        if len(stack) > depth:
            found.setdefault(stack[depth], Counter())[stack] += seen
    yield from sorted(found.items(), key=lambda one: -one[1].total())
