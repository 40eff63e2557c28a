"""The Python client when its token expires during a call."""

import asyncio

import dyad
import pytest

from tests.conftest import serving, token
from tests.support.python_client import hear

LEEWAY = 30
"""How long the server still accepts a token after its `exp`, in seconds."""
SECONDS = 3
"""How long the tokens in this file are valid, in seconds."""


async def test_a_client_with_an_expired_token_resumes_with_a_new_one_without_loss() -> None:
    given = []

    def renewed() -> str:
        given.append(token("alice", ttl=SECONDS - LEEWAY))
        return given[-1]

    async with (
        serving(end_at_expiry=True) as server,
        dyad.connect(f"127.0.0.1:{server.port}", renewed, plaintext=True) as alice,
        dyad.connect(f"127.0.0.1:{server.port}", token("bob"), plaintext=True) as bob,
    ):
        room = await alice.create()
        await bob.join(room.room_id)
        assert isinstance(await hear(alice), dyad.PeerJoined)
        said, returns = 0, 0
        while returns < 2:
            await bob.send_offer(str(said))
            while not isinstance(event := await hear(alice), dyad.Offer):
                if isinstance(event, dyad.Reconnected):
                    assert event.resumed
                    returns += 1
            assert event.sdp == str(said)
            said += 1
            await asyncio.sleep(0.1)
        assert len(given) >= 3


async def test_a_client_with_a_fixed_token_gets_the_sentence_of_the_server_when_it_expires() -> (
    None
):
    async with (
        serving(end_at_expiry=True) as server,
        dyad.connect(
            f"127.0.0.1:{server.port}", token("alice", ttl=SECONDS - LEEWAY), plaintext=True
        ) as alice,
    ):
        await alice.create()
        with pytest.raises(dyad.Unauthenticated, match="expired"):
            await hear(alice)
