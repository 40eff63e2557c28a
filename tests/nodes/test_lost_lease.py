"""A node that others may count as gone learns of it, even if an answer is lost."""

from collections.abc import Callable

import redis
from dyad_server.engines.redis.client import Words

from tests.nodes.brokers import Node, Party, party, until_ready
from tests.support.proxy import Way
from tests.support.until import until

Renewal = tuple[str, tuple[str, ...], Words]


def at_each_renewal(node: Node, act: Callable[[Renewal], object]) -> None:
    """Act right before a node asks Redis to renew its lease."""
    pipeline = node.engine.membership._pipeline  # noqa: SLF001 - between Redis and its answer
    script = pipeline.script

    def acting(name: str, keys: tuple[str, ...], arguments: Words) -> Words:
        if name == "renew_lease":
            act((pipeline._shas[name], keys, arguments))  # noqa: SLF001
        return script(name, keys, arguments)

    pipeline.script = acting  # type: ignore[method-assign]


def count_as_gone(here: Party, node: Node) -> None:
    """Delete the lease of a node, and make it overdue, so that the node counts as gone."""
    name = node.broker.node
    with redis.Redis(port=here.redis.port) as client:
        client.delete(node.keys.lease(name))
        client.set(node.keys.missing(name), 0, px=180_000)


async def test_a_node_learns_that_it_counted_as_gone_though_the_first_answer_is_lost() -> None:
    async with party() as here:
        node = here.nodes[0]
        lease = node.engine.membership.lease
        renewals: list[Renewal] = []

        def lose_the_answer(renewal: Renewal) -> None:
            renewals.append(renewal)
            if len(renewals) == 1:
                count_as_gone(here, node)
                node.network.stall(Way.BACK, new=False)

        term = lease.term
        at_each_renewal(node, lose_the_answer)
        await until(lambda: len(renewals) > 1)
        assert lease.term == term, "the answer arrived, so this test shows nothing"
        await until(lambda: lease.term > term)
        await until_ready(here, 0)


async def test_a_late_copy_of_a_renewal_does_not_hide_that_its_node_counted_as_gone() -> None:
    async with party() as here:
        node = here.nodes[0]
        membership = node.engine.membership
        renewals: list[Renewal] = []
        term, fence = membership.lease.term, membership._pipeline.fence  # noqa: SLF001
        at_each_renewal(node, renewals.append)
        await until(lambda: bool(renewals))
        await node.network.cut()
        # A connection with another fencing token has renewed the lease.
        await until(lambda: renewals[-1][2][4] != fence and node.broker.ready)
        count_as_gone(here, node)
        sha, keys, arguments = renewals[0]
        with redis.Redis(port=here.redis.port) as client:
            assert client.evalsha(sha, len(keys), *keys, *arguments) == []
        await until(lambda: membership.lease.term > term)
        await until_ready(here, 0)
