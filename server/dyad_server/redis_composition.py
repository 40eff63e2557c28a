"""Joins the engine in Redis to the hub; `composition` imports it where Redis is configured."""

from functools import partial

from dyad_server.core.clock import Clock
from dyad_server.core.hub import Hub, MakeEngine
from dyad_server.core.ports import Broker, Deliver, Handoff
from dyad_server.engines.redis.addresses import Address, read_addresses
from dyad_server.engines.redis.client import connect
from dyad_server.engines.redis.engine import RedisBroker
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.handoff import RedisHandoff, claiming_users
from dyad_server.engines.redis.messages import Answer, AnswerBody, Ask, Question
from dyad_server.engines.redis.node_names import new_node
from dyad_server.engines.redis.node_questions import NodeQuestions
from dyad_server.engines.redis.sharded import ShardedBroker
from dyad_server.engines.redis.sharded_handoff import ShardedHandoff
from dyad_server.grpc_api.inbound_messages import Inbound, Terms


def check_addresses(text: str) -> None:
    """Check the addresses of Redis, without a connection to it.

    Raises:
        ConfigError: these are no such addresses.
    """
    for address in read_addresses(text):
        connect(address.url, 1.0)


def in_redis(text: str, prefix: str, grace: float, terms: Terms, clock: Clock) -> MakeEngine:
    """Make a hub work with the other nodes of its Redis; nothing reaches Redis yet.

    Args:
        text: the addresses of Redis.
        prefix: begins the name of each key, before a colon.
        grace: seconds that a reserved seat waits for its participant.
        terms: of the `Send`s that other nodes forward.
        clock: of this server.

    Raises:
        ConfigError: these are no such addresses.
    """
    addresses = read_addresses(text)

    def make(hub: Hub) -> tuple[Broker, Handoff]:
        def asked(node: str, message: Ask | Answer) -> None:
            questions.heard(node, message)

        def make_broker(address: Address, deliver: Deliver) -> RedisBroker:
            membership = partial(
                FleetMembership,
                address.url,
                clock,
                node=node,
                name=address.name,
                prefix=f"{prefix}:",
            )
            return RedisBroker(membership, deliver, asked)

        async def answer_to(question: Question) -> AnswerBody:
            return await handoff.answer_to(question)

        node = new_node()
        take_send = Inbound(hub, terms).forwarded_send
        users = claiming_users()
        handoff: RedisHandoff | ShardedHandoff
        if len(addresses) == 1:
            broker = make_broker(addresses[0], hub.deliver)
            counts = broker.membership.counts
            questions = NodeQuestions(broker.membership, clock, counts, answer_to)
            handoff = RedisHandoff(hub, broker, grace, take_send, questions, users)
            return broker, handoff
        sharded = ShardedBroker(addresses, make_broker, hub.deliver, clock)
        # They go through any Redis, and are counted at the first.
        counts = next(iter(sharded)).membership.counts
        questions = NodeQuestions(sharded, clock, counts, answer_to)
        handoff = ShardedHandoff(
            sharded,
            {each: RedisHandoff(hub, each, grace, take_send, questions, users) for each in sharded},
        )
        return sharded, handoff

    return make
