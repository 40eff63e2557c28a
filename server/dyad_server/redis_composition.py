"""Joins the engine in Redis to the hub; `composition` imports it where Redis is configured."""

import functools

from dyad_server.core.clock import Clock
from dyad_server.core.hub import Hub, MakeEngine
from dyad_server.core.ports import Broker, Handoff
from dyad_server.engines.redis.client import connect
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.handoff import RedisHandoff
from dyad_server.engines.redis.messages import Answer, Ask
from dyad_server.grpc_api.inbound_messages import Inbound, Terms


def check_url(url: str) -> None:
    """Check the URL of a Redis, without a connection to it.

    Raises:
        ConfigError: it is no such URL.
    """
    connect(url, 1.0)


def in_redis(url: str, prefix: str, grace: float, terms: Terms, clock: Clock) -> MakeEngine:
    """Make a hub work with the other nodes of one Redis; nothing reaches Redis yet.

    Args:
        url: of Redis.
        prefix: begins the name of each key, before a colon.
        grace: seconds that a reserved seat waits for its participant.
        terms: of the `Send`s that other nodes forward.
        clock: of this server.
    """
    make_membership = functools.partial(FleetMembership, url, clock, prefix=f"{prefix}:")

    def make(hub: Hub) -> tuple[Broker, Handoff]:
        def asked(node: str, message: Ask | Answer) -> None:
            handoff.asked(node, message)

        broker = RedisBroker(make_membership, hub.deliver, asked)
        take_send = Inbound(hub, terms).forwarded_send
        handoff = RedisHandoff(hub, broker, grace, take_send)
        return broker, handoff

    return make
