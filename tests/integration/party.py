"""Python clients, each with its own network, which a test can break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import dyad
from dyad_server.server import Server

from tests.conftest import token
from tests.integration.clients import ALICE, BOB
from tests.support.proxy import Proxy
from tests.support.python_client import bare


@dataclass
class Party:
    """A participant, its own network, and how often it lost its connection and resumed."""

    connection: dyad.Connection
    network: Proxy
    room: dyad.Room
    losses: int = 0
    returns: int = 0

    async def hear(self) -> dyad.Event:
        """The next event that is not about the network. Every reconnect must be a resume."""
        while True:
            match await anext(aiter(self.connection)):
                case dyad.Reconnecting():
                    self.losses += 1
                case dyad.Reconnected(room, resumed):
                    assert resumed
                    assert room.room_id == self.room.room_id
                    self.returns += 1
                case event:
                    assert event.room_id == self.room.room_id
                    return bare(event)

    async def say(self, text: str) -> None:
        await self.connection.send_candidate(dyad.Candidate(text))

    async def hear_said(self) -> str:
        event = await self.hear()
        assert isinstance(event, dyad.Candidate)
        return event.candidate


@asynccontextmanager
async def connected(server: Server, who: dyad.Participant, **terms: Any) -> AsyncIterator[Party]:
    terms.setdefault("token", token(who.user_id, email=who.email))
    async with (
        Proxy(server.port) as network,
        dyad.connect(f"127.0.0.1:{network.port}", **terms, plaintext=True) as connection,
    ):
        yield Party(connection, network, dyad.Room("", None, polite=False))


@asynccontextmanager
async def pair(server: Server, **terms: Any) -> AsyncIterator[tuple[Party, Party]]:
    """Alice, who created a room, and Bob, who joined it; `terms` are Bob's.

    Their limits are also hers.
    """
    alices = {"limits": terms["limits"]} if "limits" in terms else {}
    async with (
        connected(server, ALICE, **alices) as alice,
        connected(server, BOB, **terms) as bob,
    ):
        alice.room = await alice.connection.create()
        bob.room = await bob.connection.join(alice.room.room_id)
        assert await alice.hear() == dyad.PeerJoined(BOB)
        yield alice, bob
