"""One end of a pair that talks through all faults, and joins again when its session ends."""

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

_TOKEN_SECONDS = 6 * 3600
# Heard so many since it last told its peer, it says one more frame to tell.
_TELL = AHEAD // 2
_PAUSE_SECONDS = 0.04
_AGAIN_SECONDS = 0.5
# An end is a break as much as a return without the seat is one.
_GONE = dyad.Reconnected(dyad.Room("", None, polite=False), resumed=False)


class Talker:
    """Sends numbered frames, receives its partner's, and keeps a ledger of both.

    Attributes:
        met: set once it has met its partner.
        done: set while it has said its last frame and heard its partner's.
    """

    def __init__(
        self, me: Label, partner: str, seed: str, way: Balancer, tell: Callable[[str], None]
    ) -> None:
        """Make one.

        Args:
            me: what its frames say of it.
            partner: who it talks with.
            seed: of what it says, and when.
            way: to the nodes.
            tell: is told, in words, what it is told that is not a frame.
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
        self._heard = 0  # The highest number heard of the partner's.
        self._told = 0  # How much of that it has told the partner.
        self._known = 0  # How much of its own the partner has told.
        self._said_last = self._heard_last = False

    def __str__(self) -> str:
        last = f"said its last: {self._said_last}, heard the other's: {self._heard_last}"
        numbers = f"said {self._number}, of which {self._known} are known; heard {self._heard}"
        return f"{self._me.sender} with {self._peer or 'nobody'}: {last}; {numbers}"

    def finding(self, other: "Talker") -> Finding:
        """The result of comparing both ledgers."""
        one, two = (talker._book.getvalue().splitlines() for talker in (self, other))  # noqa: SLF001 - of its own kind
        return compare(one, two, self._me.run)

    async def talk(self, over: asyncio.Event, both_done: asyncio.Event) -> None:
        """Stay in the room until `both_done`; send the last frame once all is `over`."""
        proof = token(self._me.sender, room=self._me.room, ttl=_TOKEN_SECONDS)
        while not both_done.is_set():
            try:
                async with dyad.connect(f"127.0.0.1:{self._way.port}", proof) as connection:
                    room = await connection.create()
                    self._tell(f"{self._me.sender} {room}")
                    self._meet(room.peer)
                    await self._call(connection, over, both_done)
            except dyad.Refused:
                # Others are there; or it is itself, on a node that is gone.
                await asyncio.sleep(self._chance.random() * _AGAIN_SECONDS)
            except dyad.Ended as end:
                self._tell(f"{self._me.sender} {end}")
                self._note(_GONE)
                await asyncio.sleep(self._chance.random() * _AGAIN_SECONDS)
        self._ledger.over()

    async def _call(
        self, connection: dyad.Connection, over: asyncio.Event, both_done: asyncio.Event
    ) -> None:
        async def part() -> None:
            await both_done.wait()
            await connection.leave()

        speaking = asyncio.create_task(self._speak(connection, over))
        hearing = asyncio.create_task(self._hear(connection))
        parting = asyncio.create_task(part())
        tasks = {speaking, hearing, parting}
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
        self._look_whether_done()

    async def _hear(self, connection: dyad.Connection) -> None:
        async for event in connection:
            match event:
                case dyad.Offer() | dyad.Answer() | dyad.Candidate():
                    self._take_in(event)
                case dyad.PeerJoined(who):
                    self._tell(f"{self._me.sender} {event}")
                    self._meet(who)
                case dyad.PeerLeft(who, dyad.Departure.LEFT):
                    # One leaves only when all is said.
                    self._tell(f"{self._me.sender} {event}")
                    self._peer = ""
                case _:
                    self._note(event)

    def _take_in(self, said: Said) -> None:
        sender = said.sender.user_id if said.sender else ""
        if sender != self._peer:
            # Nobody who is not in the room now may be heard.
            self._tell(f"{self._me.sender} hears {sender or 'nobody'}, and {self._peer} is there")
            self._ledger.told(said)
        elif sender == self._partner and (label := self._ledger.heard(said)):
            if label.number < self._heard:
                self._tell(f"{self._me.sender} hears {label.number} after {self._heard}")
            self._heard = max(self._heard, label.number)
            self._known = max(self._known, label.heard)
            self._heard_last = label.last
            self._look_whether_done()

    def _note(self, event: dyad.Event) -> None:
        self._ledger.told(event)
        self._tell(f"{self._me.sender} {event}")
        match event:
            case dyad.PeerLeft():
                self._meet(None)
            case dyad.Reconnected(room, resumed=False):
                self._meet(room.peer)

    def _meet(self, peer: dyad.Participant | None) -> None:
        """Start a new session: frames under way may be lost."""
        self._peer = peer.user_id if peer else ""
        if self._peer == self._partner:
            self.met.set()
        self._known = self._number
        self._tell(f"{self._me.sender} said {self._number}, heard {self._heard}")
        self._said_last = self._heard_last = False
        self._look_whether_done()

    def _look_whether_done(self) -> None:
        if self._said_last and self._heard_last:
            self.done.set()
        else:
            self.done.clear()
