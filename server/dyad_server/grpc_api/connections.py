"""Bounds on network connections: in the whole process, and for each address.

gRPC enforces the first bound. It has no second one, and no hook in Python for a new
connection. So the process periodically looks at its own file descriptors, and closes the
connections that an address has too many of. Without /proc/self/fd (not Linux), there is
no bound for each address.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import defaultdict
from pathlib import Path

from dyad_server.bounds import LARGEST_NUMBER
from dyad_server.core.clock import Clock
from dyad_server.grpc_api import bounds
from dyad_server.grpc_api.client_address import Origin
from dyad_server.log_line import Line

Peer = tuple[str, int]

log = logging.getLogger("dyad")

_DESCRIPTORS = Path("/proc/self/fd")
_LISTED = _DESCRIPTORS.is_dir()
_COUNTERS = Path("/proc/net/snmp")


def raise_descriptor_limit() -> None:
    """Raise this process's limit of file descriptors as far as the system allows."""
    # Windows has no such limit, and macOS reports none although it has one.
    with contextlib.suppress(ModuleNotFoundError, OSError, ValueError):
        import resource  # noqa: PLC0415 - see above

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room() -> int:
    """The number of network connections that the process has descriptors for."""
    most = LARGEST_NUMBER
    with contextlib.suppress(ModuleNotFoundError):
        import resource  # noqa: PLC0415 - Windows has none

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft != resource.RLIM_INFINITY:
            most = min(most, max(soft - bounds.RESERVED_DESCRIPTORS, soft // 2))
    return most


class AddressBound:
    """Closes the newest network connections of an address that has too many.

    Trusted proxies are exempt, because their connections belong to many clients. No
    address may have more than half of all connections.
    """

    def __init__(self, origin: Origin, port: int, per_address: int, clock: Clock) -> None:
        """Allow each address `per_address` connections to `port`."""
        self._origin = origin
        self._port = port
        self._clock = clock
        self._most = min(per_address, room() // 2)
        self._before: set[Peer] = set()
        # At the last check: how many more connections would have taken an address to
        # its bound, and how many the kernel had accepted. And when to check in any case.
        self._spare = 0
        self._accepted = 0
        self._seldom = 0.0

    async def keep(self) -> None:
        """Check periodically until cancelled. Return at once if this system has no /proc."""
        if not _LISTED:
            log.info("connections per address are not limited on this system")
            return
        logged = False
        while True:
            began = self._clock.monotonic()
            if self.due(accepted(), began):
                surplus = await asyncio.to_thread(self.look)
                if surplus and not logged:
                    log.warning(Line("an address has too many connections", closed=surplus))
                logged = bool(surplus)
            took = self._clock.monotonic() - began
            await asyncio.sleep(max(bounds.LOOK_PAUSE_SECONDS, bounds.LOOK_PAUSE_RATIO * took))

    @property
    def connections(self) -> int:
        """How many there were at the last check."""
        return len(self._before)

    def due(self, accepted: int, now: float) -> bool:
        """Whether to check, given how many connections the kernel has accepted so far.

        Mostly these are too few for any address to have exceeded its bound since the last
        check. There is a check now and then in any case, because gRPC may accept a
        connection long after the kernel has.
        """
        if accepted and accepted <= self._accepted + self._spare and now < self._seldom:
            return False
        self._accepted, self._seldom = accepted, now + bounds.LOOK_SELDOM_SECONDS
        return True

    def look(self) -> int:
        """Check once, and return how many connections were closed."""
        descriptors = [int(name) for name in os.listdir(_DESCRIPTORS)]  # noqa: PTH208 - faster, and only names are needed
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
            # Older connections stay.
            connections.sort(reverse=True)
            for _, descriptor, peer in connections[self._most :]:
                surplus += _hang_up(descriptor, peer, self._port)
                # Until gRPC closes it, it must not count as one of the older ones.
                now.discard(peer)
        return surplus


def accepted() -> int:
    """How many TCP connections the kernel has accepted so far; 0 if it does not say."""
    with contextlib.suppress(OSError, ValueError):
        names, numbers = (
            line.split()
            for line in _COUNTERS.read_text(encoding="ascii").splitlines()
            if line.startswith("Tcp:")
        )
        return int(numbers[names.index("PassiveOpens")])
    return 0


def _peer(descriptor: int, port: int) -> Peer | None:
    """The peer of this descriptor, if it is a connection to this port."""
    try:
        # The family with the longest addresses; it works for the others too.
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
        # The descriptor belongs to gRPC.
        seen.detach()


def _hang_up(descriptor: int, peer: Peer, port: int) -> bool:
    """Close the connection to this peer, unless gRPC has already closed its descriptor."""
    try:
        own = os.dup(descriptor)
    except OSError:
        return False
    # This copy cannot be closed and reused by others.
    if _peer(own, port) != peer:
        os.close(own)
        return False
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 0, fileno=own) as connection,
        contextlib.suppress(OSError),
    ):
        connection.shutdown(socket.SHUT_RDWR)
    return True
