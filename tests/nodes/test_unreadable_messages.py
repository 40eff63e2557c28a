"""Entries and messages in a node's inbox that it cannot read."""

import msgpack
import pytest
from dyad_server.core.events import (
    Departure,
    PeerLeft,
)
from dyad_server.engines.redis.messages import ENTRY, NODE, PEER, Ack, Entry, Link
from dyad_server.engines.redis.messages import Left as LeftMessage
from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from tests.nodes.brokers import exchange, party


@pytest.mark.parametrize(
    "entry",
    [
        {"entry": b"\xc1"},
        {"x": b""},
        {"entry": msgpack.packb(7)},
        {"entry": ENTRY.pack(Entry("a", [7, {"kind": 7}, NODE.write(Ack("a", "b", 1))]))},
    ],
    ids=["no msgpack", "no messages", "no list", "messages of unknown members"],
)
async def test_an_unreadable_inbox_entry_does_not_stop_a_node(
    entry: dict[FieldT, EncodableT],
) -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        for node in here.nodes[:2]:
            await redis.xadd(node.keys.inbox(node.broker.node), entry)
        await exchange(alice, bob, "still here")


async def test_an_unreadable_message_affects_no_other_message() -> None:
    async with party() as here, Redis(port=here.redis.port) as redis:
        alice, bob = await here.pair(0, 1)
        # Number 2: the first message of Bob's node announced his join.
        left = NODE.write(Link(bob.id, alice.id, 2, PEER.write(LeftMessage(Departure.LEFT))))
        entry = Entry(here.nodes[1].broker.node, [{"kind": "link"}, left])
        inbox = here.nodes[0].keys.inbox(here.nodes[0].broker.node)
        await redis.xadd(inbox, {"entry": ENTRY.pack(entry)})
        assert await alice.told() == PeerLeft(bob.member, Departure.LEFT)
