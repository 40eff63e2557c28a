"""Ports for servers that restart, or whose port another process must know before."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

_FIRST = 10_240
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_RESERVED = Path(tempfile.gettempdir()) / f"dyad-test-ports-{os.getuid()}"


def free_port() -> int:
    """A free port that no other test gets.

    It stays reserved until this process ends, so a server may restart on it. It lies
    outside the range from which the system takes a port for each outgoing connection.
    """
    first_ephemeral = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    while True:
        port = random.randrange(_FIRST, max(first_ephemeral, _FIRST + 1000))
        if port in _ours() or not _reserve(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@cache
def _ours() -> set[int]:
    """The ports that this process has reserved. Its own locks do not keep it from them."""
    return set()


@cache
def _reservations() -> int:
    """A file whose byte number N is locked while port N is reserved."""
    return os.open(_RESERVED, os.O_RDWR | os.O_CREAT, 0o600)


def _reserve(port: int) -> bool:
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _ours().add(port)
    return True
