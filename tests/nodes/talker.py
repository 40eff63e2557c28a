"""One end of a pair that talks during faults, and joins again when its session ends."""

import asyncio
import io
import random
from collections.abc import Callable

import dyad

from tests.checker import frames
from tests.checker.frames import Label, Said
from tests.checker.ledger import AHEAD, Finding, Ledger, compare
from tests.conftest import token
from tests.nodes.fleet import Balancer
from tests.support.python_client import UNBOUND

_TOKEN_SECONDS = 6 * 3600
# After so many frames received, it sends one more to tell its partner how many.
_TELL = AHEAD // 2
_PAUSE_SECONDS = 0.04
_AGAIN_SECONDS = 0.5
# The ledger counts the end of a session like a reconnect without the old seat.
_GONE = dyad.Reconnected(dyad.Room("", None, polite=False), resumed=False)


class Talker:
    """Sends numbered frames, receives its partner's, and keeps a ledger of both.

    Attributes:
        met: set once it has been in the room with its partner.
        done: set while its last frame is sent and its partner's is received.
    """

    def __init__(
        self, me: Label, partner: str, seed: str, way: Balancer, tell: Callable[[str], None]
    ) -> None:
        """Prepare a talker.

        Args:
            me: the label of its frames.
            partner: the user id of its partner.
            seed: decides what it sends, and when.
            way: leads its connections to the nodes.
            tell: called with a sentence for each event that is not a frame.
        """
        self.met = asyncio.Event()
        self.done = asyncio.Event()
        self._tell = tell
        self._me = me
        self._partner = partner
        self._way = way
        self._book = io.StringIO()
        self._ledger = Ledger(self._book)
        self._chance = random.Random(f"{seed} {me.sender}")
        self._peer = ""
        self._number = 0
        self._heard = 0  # The highest number received from the partner.
        self._told = 0  # The highest number that it has told the partner.
        self._known = 0  # The highest of its own numbers that the partner has told.
        self._said_last = self._heard_last = False

    def __str__(self) -> str:
        last = f"said its last: {self._said_last}, heard the other's: {self._heard_last}"
        numbers = f"said {self._number}, of which {self._known} are known; heard {self._heard}"
        return f"{self._me.sender} with {self._peer or 'no peer'}: {last}; {numbers}"

    def finding(self, other: "Talker") -> Finding:
        """The result of comparing both ledgers."""
        one, two = (talker._book.getvalue().splitlines() for talker in (self, other))  # noqa: SLF001 - the same class
        return compare(one, two, self._me.run)

    async def talk(self, over: asyncio.Event, both_done: asyncio.Event) -> None:
        """Stay in the room until `both_done`; send the last frame once `over` is set."""
        proof = token(self._me.sender, room=self._me.room, ttl=_TOKEN_SECONDS)
        while not both_done.is_set():
            try:
                async with dyad.connect(
                    f"127.0.0.1:{self._way.port}", proof, plaintext=True, limits=UNBOUND
                ) as connection:
                    room = await connection.create()
                    self._tell(f"{self._me.sender} {room}")
                    self._meet(room.peer)
                    await self._call(connection, over, both_done)
            except dyad.Refused:
                # Two others are there, or its own old seat on a dead node is.
                await asyncio.sleep(self._chance.random() * _AGAIN_SECONDS)
            except dyad.Ended as end:
                self._tell(f"{self._me.sender} {end}")
                self._note(_GONE)
                await asyncio.sleep(self._chance.random() * _AGAIN_SECONDS)
        self._ledger.over()

    async def _call(
        self, connection: dyad.Connection, over: asyncio.Event, both_done: asyncio.Event
    ) -> None:
        async def leave() -> None:
            await both_done.wait()
            await connection.leave()

        speaking = asyncio.create_task(self._speak(connection, over))
        hearing = asyncio.create_task(self._hear(connection))
        leaving = asyncio.create_task(leave())
        tasks = {speaking, hearing, leaving}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (failure := task.exception()):
                raise failure

    async def _speak(self, connection: dyad.Connection, over: asyncio.Event) -> None:
        while True:
            if self._may_speak():
                await self._say(connection, last=over.is_set())
            await asyncio.sleep(self._chance.random() * _PAUSE_SECONDS)

    def _may_speak(self) -> bool:
        if self._peer != self._partner or self._said_last:
            return False
        return self._number < self._known + AHEAD or self._heard - self._told >= _TELL

    async def _say(self, connection: dyad.Connection, *, last: bool) -> None:
        self._number += 1
        self._told = self._heard
        self._said_last = last
        me = self._me
        label = Label(me.run, me.room, me.sender, self._number, self._heard, last)
        said = frames.compose(label, self._chance)
        self._ledger.sent(label, said)
        await frames.send(connection, said)
        self._update_done()

    async def _hear(self, connection: dyad.Connection) -> None:
        async for event in connection:
            match event:
                case dyad.Offer() | dyad.Answer() | dyad.Candidate():
                    self._receive(event)
                case dyad.PeerJoined(who):
                    self._tell(f"{self._me.sender} {event}")
                    self._meet(who)
                case dyad.PeerLeft(who, dyad.Departure.LEFT):
                    # A partner leaves only after its last frame: this is no break.
                    self._tell(f"{self._me.sender} {event}")
                    self._peer = ""
                case _:
                    self._note(event)

    def _receive(self, said: Said) -> None:
        sender = said.sender.user_id if said.sender else ""
        if sender != self._peer:
            # Only a frame of the current peer may arrive.
            self._tell(f"{self._me.sender} hears {sender or 'no user'}, not {self._peer}")
            self._ledger.told(said)
        elif sender == self._partner and (label := self._ledger.heard(said)):
            if label.number < self._heard:
                self._tell(f"{self._me.sender} hears {label.number} after {self._heard}")
            self._heard = max(self._heard, label.number)
            self._known = max(self._known, label.heard)
            self._heard_last = label.last
            self._update_done()

    def _note(self, event: dyad.Event) -> None:
        self._ledger.told(event)
        self._tell(f"{self._me.sender} {event}")
        match event:
            case dyad.PeerLeft():
                self._meet(None)
            case dyad.Reconnected(room, resumed=False):
                self._meet(room.peer)

    def _meet(self, peer: dyad.Participant | None) -> None:
        """Start over with this peer: frames under way may be lost."""
        self._peer = peer.user_id if peer else ""
        if self._peer == self._partner:
            self._ledger.met()
            self.met.set()
        self._known = self._number
        self._tell(f"{self._me.sender} said {self._number}, heard {self._heard}")
        self._said_last = self._heard_last = False
        self._update_done()

    def _update_done(self) -> None:
        if self._said_last and self._heard_last:
            self.done.set()
        else:
            self.done.clear()
