"""What gRPC's core and other native code write to standard error, as log lines.

They write to the file descriptor, past Python's logging. A thread reads that, so each line
gets the shape of all others. Text that a crash leaves behind may be lost: only its process
could read it.
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

log = logging.getLogger("grpc.core")

# I1129 20:27:57.391167   12770 file.cc:2563] text
_CORE = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ (\S+)\] (.*)")
_LEVELS = {
    "I": logging.INFO,
    "W": logging.WARNING,
    "E": logging.ERROR,
    "F": logging.CRITICAL,
}


@contextmanager
def as_log_lines() -> Iterator[None]:
    """Log what is written to standard error, while the context lasts.

    The handlers of the root logger go on to write to the real standard error.
    """
    shown = sys.stderr.fileno()
    real = os.dup(shown)
    readable, writable = os.pipe()
    os.dup2(writable, shown)
    os.close(writable)
    stream = os.fdopen(real, "w", buffering=1, errors="backslashreplace", closefd=False)
    moved: list[logging.StreamHandler[Any]] = [
        each
        for each in logging.getLogger().handlers
        if isinstance(each, logging.StreamHandler) and each.stream is sys.stderr
    ]
    for handler in moved:
        handler.setStream(stream)
    # Logging would write to `sys.stderr` that it cannot write, and be asked to log that.
    raised, logging.raiseExceptions = logging.raiseExceptions, False
    reader = threading.Thread(target=_read, args=(readable,), name="dyad-stderr", daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        # That closes the pipe, which ends the thread.
        os.dup2(real, shown)
        reader.join()
        logging.raiseExceptions = raised
        for handler in moved:
            handler.setStream(sys.stderr)
        os.close(real)


def _read(readable: int) -> None:
    with TextIOWrapper(os.fdopen(readable, "rb"), errors="backslashreplace") as lines:
        for line in lines:
            if text := line.rstrip():
                _log(text)


def _log(text: str) -> None:
    if core := _CORE.fullmatch(text):
        letter, place, said = core.groups()
        log.log(_LEVELS[letter], "%s: %s", place, said)
    else:
        logging.getLogger("stderr").warning("%s", text)
