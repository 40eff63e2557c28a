"""Composes what several nodes need; `app` imports it where Redis is configured."""

import functools

from dyad_server.core.hub import Hub
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.handoff import Fleet
from dyad_server.engines.redis.membership import Bus
from dyad_server.grpc_api.servicer import SignalingServicer


def broker(url: str, prefix: str) -> RedisBroker:
    """A broker whose rooms are in the Redis at `url`, under keys that begin with `prefix:`."""
    return RedisBroker(functools.partial(Bus, url, prefix=f"{prefix}:"))


def join(hub: Hub, servicer: SignalingServicer, redis: RedisBroker, grace: float) -> Fleet:
    """Let `hub` and `servicer` work with the other nodes that `redis` reaches.

    Args:
        hub: this node's.
        servicer: its.
        redis: from `broker`.
        grace: seconds that a held seat waits for its participant.

    Returns:
        What is to `finish` before the hub stops.
    """
    fleet = Fleet(hub, redis, grace)
    fleet.take_send = servicer.take_packed_send
    servicer.fleet = fleet
    return fleet
