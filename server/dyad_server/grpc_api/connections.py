"""Bounds on connections: how many the process has room for, and how many one address holds.

gRPC bounds the first. Of the second it knows nothing, and in Python it has no
hook for a connection that comes. So the process looks at its own descriptors
from time to time and hangs up on the surplus of an address. Where the system does
not list them in /proc/self/fd, that bound is off.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import defaultdict
from pathlib import Path

from dyad_server.grpc_api.client_address import Origin

Peer = tuple[str, int]

log = logging.getLogger("dyad")

_DESCRIPTORS = Path("/proc/self/fd")
_LISTED = _DESCRIPTORS.is_dir()
# For Redis, keys, metrics, files and gRPC's own.
_RESERVED = 100
# A look at 10,000 descriptors takes 100 ms of CPU: so at most 2 % of the time, and
# seldom while no address can have passed its bound.
_PAUSE_SECONDS = 0.25
_PAUSES_A_LOOK = 50
_SELDOM_SECONDS = 10.0
_COUNTERS = Path("/proc/net/snmp")


def raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as the system lets it ask for."""
    # Windows has no such limit, and macOS says that it has none where it has.
    with contextlib.suppress(ModuleNotFoundError, OSError, ValueError):
        import resource  # noqa: PLC0415 - see above

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room() -> int:
    """How many connections the process has descriptors for."""
    most = 2**31 - 1
    with contextlib.suppress(ModuleNotFoundError):
        import resource  # noqa: PLC0415 - Windows has none

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft != resource.RLIM_INFINITY:
            most = min(most, max(soft - _RESERVED, soft // 2))
    return most


class AddressBound:
    """Hangs up on the newest connections of an address that holds too many.

    Trusted proxies are exempt: their connections are other people's. No address
    holds more than half of the connections that there is room for.
    """

    def __init__(self, origin: Origin, port: int, per_address: int) -> None:
        """Bound the connections to `port` at `per_address` for each address."""
        self._origin = origin
        self._port = port
        self._most = min(per_address, room() // 2)
        self._before: set[Peer] = set()
        # How many more an address could have before it passed its bound, at the
        # last look; how many the kernel had accepted then; when to look in any case.
        self._spare = 0
        self._accepted = 0
        self._seldom = 0.0

    async def keep(self) -> None:
        """Look again and again, until cancelled; returns where there is nothing to look at."""
        if not _LISTED:
            log.info("connections of one address are not bounded on this system")
            return
        said = False
        while True:
            began = time.monotonic()
            if self.due(accepted(), began):
                surplus = await asyncio.to_thread(self.look)
                if surplus and not said:
                    log.warning("an address holds too many connections: hung up on %d", surplus)
                said = bool(surplus)
            await asyncio.sleep(max(_PAUSE_SECONDS, _PAUSES_A_LOOK * (time.monotonic() - began)))

    @property
    def connections(self) -> int:
        """How many there were at the last look."""
        return len(self._before)

    def due(self, accepted: int, now: float) -> bool:
        """Whether to look, where the kernel has accepted so many connections so far.

        It has accepted too few for any address to have passed its bound since the
        last look, mostly. It looks now and then all the same, because gRPC may take
        a connection long after the kernel has.
        """
        if accepted and accepted <= self._accepted + self._spare and now < self._seldom:
            return False
        self._accepted, self._seldom = accepted, now + _SELDOM_SECONDS
        return True

    def look(self) -> int:
        """Look once; returns how many connections it has hung up on."""
        descriptors = [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 - names alone, and fast
        held: defaultdict[str, list[tuple[bool, int, Peer]]] = defaultdict(list)
        now = set()
        for descriptor in descriptors:
            peer = _peer(descriptor, self._port)
            if peer is not None:
                now.add(peer)
                held[peer[0]].append((peer in self._before, descriptor, peer))
        self._before = now
        addresses: defaultdict[str, list[tuple[bool, int, Peer]]] = defaultdict(list)
        for host, connections in held.items():
            if not self._origin.is_proxy(host):
                addresses[self._origin.of_host(host)] += connections
        surplus = 0
        self._spare = max(self._most - max(map(len, addresses.values()), default=0), 0)
        for connections in addresses.values():
            # Those that were there before stay.
            connections.sort(reverse=True)
            for _, descriptor, peer in connections[self._most :]:
                surplus += _hang_up(descriptor, peer, self._port)
        return surplus


def accepted() -> int:
    """How many TCP connections the kernel has accepted so far; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        names, numbers = (
            line.split()
            for line in _COUNTERS.read_text(encoding="ascii").splitlines()
            if line.startswith("Tcp:")
        )
        return int(numbers[names.index("PassiveOpens")])
    return 0


def _peer(descriptor: int, port: int) -> Peer | None:
    """Who is connected to this port by this descriptor, if that is what it is."""
    try:
        # The family of the longest address, whatever it is.
        seen = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return None
    try:
        if seen.getsockname()[1] != port:
            return None
        host, peer_port = seen.getpeername()[:2]
    except (OSError, IndexError):
        return None
    else:
        return host, peer_port
    finally:
        # It is gRPC's.
        seen.detach()


def _hang_up(descriptor: int, peer: Peer, port: int) -> bool:
    """Hang up on this peer, unless gRPC has closed its descriptor meanwhile."""
    try:
        own = os.dup(descriptor)
    except OSError:
        return False
    # From here on, the descriptor stays what it is.
    if _peer(own, port) != peer:
        os.close(own)
        return False
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=own) as connection,
        contextlib.suppress(OSError),
    ):
        connection.shutdown(socket.SHUT_RDWR)
    return True
