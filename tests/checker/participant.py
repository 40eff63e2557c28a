"""A participant in its own process: it sends and receives frames, and keeps a ledger.

Each line of its input is the highest number that it may send. After every hundred frames it
prints the highest number that it has received.
"""

import asyncio
import random
import sys
from pathlib import Path
from typing import TextIO

import dyad

from tests.checker import frames
from tests.checker.frames import Label, Said
from tests.checker.ledger import AHEAD, Ledger
from tests.support.python_client import UNBOUND, hear

# After this many frames from the peer, it sends another frame to confirm them.
_TELL = AHEAD // 2
_REPORT = 100
_PAUSE_SHARE = 0.05


class Call:
    """What one side sends and receives until both have sent everything."""

    def __init__(
        self, connection: dyad.Connection, ledger: Ledger, me: Label, total: int, seed: str
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._me = me
        self._total = total
        self._chance = random.Random(f"{seed} {me.sender}")
        self._paired = False
        self._number = 0
        self._peers = 0  # The highest number received from the peer.
        self._printed = 0
        self._allowed = 0
        self._told = 0  # The peer's highest number that it has confirmed.
        self._known = 0  # Its own highest number that the peer has confirmed.
        self._broken = False
        self._said_last = self._heard_last = False
        self._news = asyncio.Event()

    async def go(self, room: dyad.Room) -> None:
        """Send and receive everything."""
        self._pair(room.peer)
        orders = asyncio.create_task(self._take_orders())
        async with asyncio.TaskGroup() as both:
            both.create_task(self._speak())
            both.create_task(self._hear())
        orders.cancel()

    def _pair(self, peer: dyad.Participant | None) -> None:
        self._paired = peer is not None
        if peer is not None:
            self._ledger.met()

    async def _take_orders(self) -> None:
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
        )
        async for line in orders:
            self._allowed = int(line)
            self._news.set()

    async def _speak(self) -> None:
        while not (self._said_last and self._heard_last):
            if self._may_speak():
                await self._say()
                if self._chance.random() < _PAUSE_SHARE:
                    # A pause ends a message: this makes messages of many sizes.
                    await asyncio.sleep(0)
            else:
                self._news.clear()
                await self._news.wait()

    def _may_speak(self) -> bool:
        if self._said_last or not self._paired:
            return False
        more = self._number < min(self._allowed, self._known + AHEAD)
        return more or self._broken or self._all_done() or self._peers - self._told >= _TELL

    def _all_done(self) -> bool:
        return self._number >= self._total and self._peers >= self._total

    async def _say(self) -> None:
        last = self._all_done()
        self._number += 1
        self._said_last, self._broken, self._told = last, False, self._peers
        me = self._me
        label = Label(me.run, me.room, me.sender, self._number, self._peers, last)
        said = frames.compose(label, self._chance)
        self._ledger.sent(label, said)
        await frames.send(self._connection, said)

    async def _hear(self) -> None:
        while not self._heard_last:
            match await hear(self._connection):
                case (dyad.Offer() | dyad.Answer() | dyad.Candidate()) as said:
                    self._receive(said)
                case dyad.PeerJoined(peer):
                    self._pair(peer)
                case event:
                    self._ledger.told(event)
                    self._note_break(event)
            self._news.set()

    def _receive(self, said: Said) -> None:
        label = self._ledger.heard(said)
        if label is None:
            return
        self._peers = max(self._peers, label.number)
        self._known = max(self._known, label.heard)
        self._heard_last = label.last
        if self._peers - self._printed >= _REPORT:
            self._printed = self._peers
            print(self._peers, flush=True)

    def _note_break(self, event: dyad.Event) -> None:
        match event:
            case dyad.PeerLeft(reason=dyad.Departure.LEFT):
                raise RuntimeError("The peer hung up before its last frame.")
            case dyad.Refused(code) if code is not dyad.Refusal.PEER_ABSENT:
                raise RuntimeError(f"A frame was refused: {event}")
            case dyad.PeerLeft():
                self._paired = False
            case dyad.Reconnected(room, resumed=False):
                self._pair(room.peer)
            case _:
                return
        # What was under way may be lost: do not wait for its confirmation.
        self._known = self._number
        self._broken = True
        self._said_last = False


async def main(book: TextIO, target: str, token: str, *call: str) -> None:
    run, room_id, name, total, seed = call
    ledger = Ledger(book)
    async with dyad.connect(target, token, plaintext=True, limits=UNBOUND) as connection:
        # The token names the room, so either participant may come first.
        room = await connection.create()
        assert room.room_id == room_id
        me = Label(run, room_id, name, 0)
        await Call(connection, ledger, me, int(total), seed).go(room)
        await connection.leave()
    ledger.over()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w") as book:
        asyncio.run(main(book, *sys.argv[2:]))
