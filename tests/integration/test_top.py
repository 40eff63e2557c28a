"""`dyad top` against real nodes."""

import asyncio
import os
import re
import signal

from tests.conftest import SECRET, token
from tests.support.ends import SignalEnd, channel, join
from tests.support.ports import free_port
from tests.support.process import DYAD, command, dyad_serve, run

ONCE = ("top", "--once", "--interval", "0.5")


async def test_it_shows_two_nodes_and_their_sum() -> None:
    one, other = free_port(), free_port()
    async with (
        dyad_serve(SECRET, "--metrics-port", str(one)) as served,
        dyad_serve(SECRET, "--metrics-port", str(other)),
        channel(served.port) as connection,
    ):
        alice = SignalEnd(connection, token("alice"))
        await alice.send(join())
        bob = SignalEnd(connection, token("bob"))
        await bob.send(join((await alice.hear()).room_id))
        await bob.hear()
        status, said = await run(
            DYAD, *ONCE, f"127.0.0.1:{one}", f"http://127.0.0.1:{other}/metrics"
        )
        for end in (alice, bob):
            end.cut()
    assert status == 0, said
    # Participants, calls, streams, joins and frames a second.
    assert re.search(rf"127\.0\.0\.1:{one} +ready +2 +1 +2 +0\.0 +0\.0 ", said), said
    assert re.search(rf"127\.0\.0\.1:{other} +ready +0 +0 +0 +0\.0 +0\.0 ", said), said
    assert re.search(r"2 nodes +2 of 2 ready +2 +1 +2 +0\.0 +0\.0 ", said), said


async def test_a_node_that_does_not_answer_is_shown_as_such() -> None:
    here, nowhere = free_port(), free_port()
    async with dyad_serve(SECRET, "--metrics-port", str(here)):
        status, said = await run(DYAD, *ONCE, f"127.0.0.1:{here}", f"127.0.0.1:{nowhere}")
    assert status == 1
    assert re.search(rf"127\.0\.0\.1:{here} +ready ", said), said
    assert re.search(rf"127\.0\.0\.1:{nowhere} +no answer ", said), said
    assert "1 of 2 ready" in said
    assert f"Nothing answers at http://127.0.0.1:{nowhere}/metrics." in said


async def test_refusals_are_shown_by_reason() -> None:
    port = free_port()
    async with dyad_serve(SECRET, "--metrics-port", str(port)) as served:
        knocking = asyncio.create_task(knock(served.port))
        status, said = await run(DYAD, *ONCE, f"127.0.0.1:{port}")
        knocking.cancel()
    assert status == 0, said
    assert re.search(r"token_malformed \d+\.\d", said), said


async def knock(port: int) -> None:
    """Come with a bad token again and again."""
    async with channel(port) as connection:
        while True:
            await SignalEnd(connection, "bad").status()


async def test_ctrl_c_ends_it() -> None:
    port = free_port()
    async with (
        dyad_serve(SECRET, "--metrics-port", str(port)),
        command(DYAD, "top", "--interval", "0.2", f"127.0.0.1:{port}") as watching,
    ):
        await watching.says("(?s)ready.*ready")
        os.killpg(watching.process.pid, signal.SIGINT)
        assert await watching.ended() == 0


async def test_an_interval_that_makes_no_sense_is_refused() -> None:
    status, said = await run(DYAD, "top", "--interval", "0", "localhost:1")
    assert status == 2
    assert "--interval must be 0.2 to 3,600 seconds." in said
