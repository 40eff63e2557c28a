"""Brokers that share several Redis, as nodes whose lists of addresses may differ."""

import functools
from collections.abc import Callable, Mapping, Sequence

from dyad_server.core.events import Output
from dyad_server.engines.redis.addresses import Address, read_addresses
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.node_names import new_node
from dyad_server.engines.redis.sharded import ShardedBroker
from dyad_server.ops.clock import LoopClock


def listed(urls: Mapping[str, str], *marks: str) -> Sequence[Address]:
    """The addresses of a `--redis`: `marks` are names of `urls`, perhaps with a use."""
    return read_addresses(" ".join(f"{urls[mark.partition(':')[0]]}#{mark}" for mark in marks))


def sharded_broker(
    addresses: Sequence[Address], deliver: Callable[[Output], None], *, settle_seconds: float = 0
) -> ShardedBroker:
    """The broker of a new node."""
    node, clock = new_node(), LoopClock()

    def make(address: Address, told: Callable[[Output], None]) -> RedisBroker:
        membership = functools.partial(
            FleetMembership,
            address.url,
            clock,
            node=node,
            name=address.name,
            settle_seconds=settle_seconds,
        )
        return RedisBroker(membership, told)

    return ShardedBroker(addresses, make, deliver, clock)
