"""Ports for servers that go and come back, or whose port another process must know first."""

import random
import socket
from pathlib import Path

_FIRST = 10_240
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that nobody listens on.

    Outside the range from which the system takes one for each connection that
    is made: or one of these has it by the time that a server starts there.
    """
    first_ephemeral = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    while True:
        port = random.randrange(_FIRST, max(first_ephemeral, _FIRST + 1000))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
