"""Every client calls every other one, in every scenario of clients/INTEROP.md.

All of them use one `dyad serve`. The web client connects through Envoy.
"""

import asyncio
import uuid

import grpc
import pytest

from tests.conftest import token
from tests.interop.conftest import BUILD, PairSite
from tests.interop.table import CLIENTS, SCENARIOS_OF_ONE, SCENARIOS_OF_TWO, named
from tests.support.ends import SignalEnd, pair
from tests.support.needs import ROOT
from tests.support.proxy import Proxy
from tests.support.sides import CANDIDATES, Program, playing, written

pytestmark = pytest.mark.timeout(BUILD)


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
@pytest.mark.parametrize("caller", CLIENTS, indirect=True)
@pytest.mark.parametrize("scenario", SCENARIOS_OF_TWO)
async def test_two_clients_follow_the_script(
    scenario: str, caller: Program, callee: Program, pair_site: PairSite
) -> None:
    name, _, cut = scenario.partition("_")
    async with (
        Proxy(pair_site.port(callee if cut == "callee" else caller)) as network,
        playing() as start,
    ):
        ports = {
            "caller": network.port if cut == "caller" else pair_site.port(caller),
            "callee": network.port if cut == "callee" else pair_site.port(callee),
        }
        # New users for each test: limits count what a user has sent in other tests.
        alice, bob = f"alice-{uuid.uuid4()}", f"bob-{uuid.uuid4()}"
        calling = await start(caller, "caller", name, ports["caller"], jwt=token(alice))
        room = (await calling.says("created"))["room"]
        called = await start(callee, "callee", name, ports["callee"], jwt=token(bob), room=room)
        sides = {"caller": calling, "callee": called}
        if cut:
            await sides[cut].says("candidate", n=CANDIDATES // 2)
            await network.cut()
        async with asyncio.TaskGroup() as both:
            both.create_task(calling.succeeds())
            both.create_task(called.succeeds())
    assert calling.script == written(name, "caller", room, bob)
    assert called.script == written(name, "callee", room, alice)
    for role, side in sides.items():
        # The other side does not notice the disconnect.
        came_back = [{"event": "reconnecting"}, {"event": "reconnected", "resumed": True}]
        assert side.returns == (came_back if role == cut else [])


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
@pytest.mark.parametrize("scenario", SCENARIOS_OF_ONE)
async def test_a_client_tells_a_refusal_from_an_end(
    scenario: str, callee: Program, pair_site: PairSite
) -> None:
    jwt = "a.b.c" if scenario == "badtoken" else token("carol")
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{pair_site.server}") as channel,
        playing() as start,
    ):
        *two, room = await pair(lambda sub, **claims: SignalEnd(channel, token(sub, **claims)))
        if scenario == "unknown":
            room = str(uuid.uuid4())
        third = await start(callee, "callee", scenario, pair_site.port(callee), jwt=jwt, room=room)
        said = await third.succeeds()
        for end in two:
            end.cut()
    assert said == [SCENARIOS_OF_ONE[scenario]]


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_a_program_fails_if_the_scenario_does_not_follow_the_script(
    callee: Program, pair_site: PairSite
) -> None:
    async with playing() as start:
        caller = await start(callee, "caller", "call", pair_site.port(callee), jwt=token("alice"))
        room = (await caller.says("created"))["room"]
        side = await start(
            callee, "callee", "unknown", pair_site.port(callee), jwt=token("bob"), room=room
        )
        assert await side.process.wait() == 1
        assert side.process.stderr is not None
        assert await side.process.stderr.read()


@pytest.mark.parametrize("callee", CLIENTS, indirect=True)
async def test_a_wrong_command_line_ends_with_status_2(callee: Program) -> None:
    async with playing() as start:
        side = await start(callee, "onlooker", "call", 1, jwt="a.b.c")
        assert await side.process.wait() == 2


@pytest.mark.parametrize("test", named())
def test_the_table_names_existing_tests(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"async def {name.partition('[')[0]}(" in (ROOT / path).read_text()
