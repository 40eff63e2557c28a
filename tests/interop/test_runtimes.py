"""The web client outside of browsers, without media: in Node, Deno and Bun."""

from pathlib import Path

import pytest

from tests.conftest import token
from tests.interop.conftest import BUILD, NODE, NPM, PairSite, build, once
from tests.interop.test_each_client import CAME_BACK, user
from tests.support.needs import ROOT, needs
from tests.support.proxy import Proxy
from tests.support.sides import CANDIDATES, Program, playing, written

PAIR = ROOT / "build" / "web" / "dyad-pair.mjs"
# npm has both, each with its binary.
PACKAGES = ("deno@2.9.6", "bun@1.4.5")

pytestmark = pytest.mark.timeout(BUILD)


@pytest.fixture(params=["node", "deno", "bun"])
def runtime(request: pytest.FixtureRequest, shared_folder: Path) -> Program:
    """The pair program of the web client, in a runtime."""
    needs(NODE, NPM, PAIR)

    def install(folder: Path) -> None:
        folder.mkdir()
        (folder / "package.json").write_text("{}")
        build(str(NPM), "install", "--silent", *PACKAGES, folder=folder)

    name = request.param
    if name == "node":
        return Program(name, (str(NODE), str(PAIR)), web=True)
    binary = once(shared_folder / "runtimes", install) / "node_modules" / ".bin" / name
    allowed = ("run", "--allow-all") if name == "deno" else ()
    return Program(name, (str(binary), *allowed, str(PAIR)), web=True)


async def test_the_web_client_calls_and_reconnects(
    runtime: Program, python_program: Program, pair_site: PairSite
) -> None:
    alice, bob = user("alice"), user("bob")
    async with Proxy(pair_site.port(runtime)) as network, playing() as start:
        calling = await start(runtime, "caller", "cut", network.port, jwt=token(alice))
        room = (await calling.says("created"))["room"]
        called = await start(
            python_program, "callee", "cut", pair_site.server, jwt=token(bob), room=room
        )
        await calling.says("candidate", n=CANDIDATES // 2)
        await network.cut()
        await calling.succeeds()
        await called.succeeds()
    assert calling.script == written("cut", "caller", room, bob)
    assert called.lines == written("cut", "callee", room, alice)
    assert calling.returns == CAME_BACK
