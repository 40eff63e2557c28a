"""Dyad beside another service on a server that is not its own, as README shows it."""

import re
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.conftest import SECRET, token
from tests.support.ends import End, offer, pair

README = Path(__file__).parents[2] / "README.md"


def snippet() -> str:
    """The code under README's "Embed it"."""
    found = re.search(r"(?ms)^## Embed it\n.*?^```python\n(.*?)^```", README.read_text())
    assert found, "README has no Python under: ## Embed it"
    return found[1]


async def test_what_the_readme_shows_serves_a_call_and_drains_it(transport: type[End]) -> None:
    names: dict[str, Any] = {"grpc": grpc, "secret": SECRET}
    exec(snippet(), names)
    server, dyad = names["server"], names["dyad"]
    beside = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(beside, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            alice, bob, room_id = await pair(
                lambda sub, **claims: transport(channel, token(sub, **claims))
            )
            assert len(dyad.hub) == 2
            await alice.send(offer(room_id, "embedded"))
            assert (await bob.hear()).offer.sdp == "embedded"

            await dyad.drain()
            for end in (alice, bob):
                ended = await end.status()
                assert ended is not None
                assert ended.code() is grpc.StatusCode.UNAVAILABLE
            assert len(dyad.hub) == 0
            other: Any = health_pb2_grpc.HealthStub(channel)
            answer = await other.Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        await server.stop(grace=None)
