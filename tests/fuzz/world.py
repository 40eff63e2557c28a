"""Gives the hub and the model the same inputs, and compares every frame from the hub."""

import asyncio
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import grpc
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.commands import Identity
from dyad_server.core.hub import Hub
from dyad_server.core.limits import Limits
from dyad_server.core.participant import Connection
from dyad_server.core.ports import Observers
from dyad_server.engines.memory import MemoryBroker
from dyad_server.grpc_api import codec
from dyad_server.grpc_api.stream_writer import StreamOutlet, WriteScheduler
from dyad_server.ops.clock import LoopClock
from google.protobuf.message import DecodeError

from tests.fuzz import frames
from tests.fuzz.model import ROOM_ID_CHARACTERS, Model, Seat, User, joined

USERS = (User("a"), User("b"), User("c"), User("d", claim=str(uuid.UUID(int=7))))
PARTICIPANTS = 4
PLENTY = 10**9
CLOCK = LoopClock()


class Call:
    """The client's end of a stream, in memory: the written messages, and the status."""

    def __init__(self) -> None:
        self.frames: list[pb.Frame] = []
        self.status: str | None = None

    def write(self, message: bytes, then: Callable[[bool], None]) -> None:
        assert self.status is None, "written after the end"
        self.frames.extend(pb.SignalResponse.FromString(message).frames)
        asyncio.get_running_loop().call_soon(then, True)  # noqa: FBT003 - a continuation

    def end(self, code: grpc.StatusCode, details: str, trailers: Any) -> None:
        assert self.status is None, "ended twice"
        self.status = code.name


@dataclass(eq=False)
class Client:
    """A connection, and the frames that are expected on it.

    Attributes:
        seat: the seat that it belongs to.
        live: whether it is the seat's current connection.
        lingers: whether it is broken and a `Send` for it still counts.
        first: the frame that must come first after a resume.
        heard: how many frames of the stream have been compared.
        up_to: the number of the last frame that came.
        status: the status that the stream must end with.
    """

    seat: Seat
    connection: Connection
    call: Call
    outlet: StreamOutlet
    live: bool = True
    lingers: bool = False
    first: pb.Frame | None = None
    heard: int = 0
    up_to: int = 0
    status: str | None = None


class World:
    """A hub with up to four participants that act at random.

    Args:
        rng: makes every choice.
        share_of_bytes: how often a client sends arbitrary bytes instead of frames.

    Attributes:
        inputs: how many frames the hub has received.
    """

    def __init__(self, rng: random.Random, share_of_bytes: float) -> None:
        limits: dict[str, Any] = dict.fromkeys(Limits.__dataclass_fields__, PLENTY)
        self.inputs = 0
        self._rng = rng
        self._share_of_bytes = share_of_bytes
        self._hub = Hub(self._make_engine, Limits(**limits), Observers(), CLOCK)
        self._model = Model()
        self._clients: list[Client] = []
        # Every resume token so far, with its user and room. Most have been used.
        self._tokens: list[tuple[str, User, str]] = []

    def _make_engine(self, hub: Hub) -> tuple[MemoryBroker, None]:
        self._broker = MemoryBroker(hub.deliver)
        return self._broker, None

    async def play(self, steps: int) -> None:
        """Do this many actions, then end all participants."""
        for _ in range(steps):
            await self._step()
        for client in tuple(self._clients):
            if client.live:
                await self._drop(client)
        for client in tuple(self._clients):
            if client.lingers:
                await self._expire(client)
        self._look_for_remains()

    async def _step(self) -> None:
        rng = self._rng
        live = [client for client in self._clients if client.live]
        away = [client for client in self._clients if client.lingers]
        choice = rng.random()
        if not live or (choice < 0.1 and len(live) + len(away) < PARTICIPANTS):
            self._connect(rng.choice(USERS))
        elif choice < 0.15:
            await self._drop(rng.choice(live))
        elif choice < 0.23 and self._tokens and len(live) < PARTICIPANTS:
            await self._resume(away)
        elif choice < 0.25 and away:
            await self._expire(rng.choice(away))
        elif rng.random() < self._share_of_bytes:
            await self._send_bytes(rng.choice(live))
        else:
            # Some frames come on connections that have ended.
            client = rng.choice(self._clients if choice < 0.35 else live)
            await self._send(client, self._frame(client))

    def _connect(self, user: User) -> Client:
        call = Call()
        identity = Identity(user.name, f"{user.name}@x", user.claim or None)
        # An outlet calls only the methods of a stream that `Call` has.
        scheduler = WriteScheduler(PLENTY, CLOCK, self._hub.counts)
        outlet = StreamOutlet(cast("Any", call), "Signal", scheduler)
        connection = self._hub.open(identity, outlet, "127.0.0.1")
        outlet.attach(connection, lambda failure: self._hub.close(connection, failure))
        client = Client(Seat(user), connection, call, outlet)
        self._clients.append(client)
        return client

    def _frame(self, client: Client) -> pb.Frame:
        return frames.frame(self._rng, client.seat, tuple(self._model.rooms))

    async def _send_bytes(self, client: Client) -> None:
        said = pb.SignalRequest(
            frames=[self._frame(client) for _ in range(self._rng.choice((1, 2)))]
        )
        data = frames.mutated(self._rng, said.SerializeToString())
        for frame in _decoded(data).frames:
            await self._send(client, frame)

    async def _resume(self, away: list[Client]) -> None:
        rng = self._rng
        token, user, room = rng.choice(self._tokens)
        acks = (0, 3)
        if away and rng.random() < 0.8:
            seat = rng.choice(away).seat
            user, room = seat.user, seat.room
            token = rng.choice(seat.tokens)
            acks = (seat.forgotten, seat.written)
        if rng.random() < 0.1:
            user, token = rng.choice(((rng.choice(USERS), token), (user, "nonsense")))
        client = self._connect(user)
        await self._send(client, frames.resumption(rng, token, room, acks))

    async def _send(self, client: Client, frame: pb.Frame) -> None:
        self.inputs += 1
        self._hub.receive(client.connection, codec.read(frame.SerializeToString()))
        if client.live or client.lingers:
            token = frame.join_room.resume_token
            if token and len(frame.room_id) <= ROOM_ID_CHARACTERS:
                self._expect_resumed(client, frame)
            else:
                self._model.new_room = client.connection.participant.room_id
                self._model.receive(client.seat, frame)
        await self._look()

    def _expect_resumed(self, client: Client, frame: pb.Frame) -> None:
        used = frame.join_room.resume_token
        resumed = self._model.resume(client.seat, frame)
        if resumed is None:
            return
        for before in self._clients:
            if before.seat is resumed:
                before.status = "ABORTED" if before.live else before.status
                before.live = before.lingers = False
        if resumed.ended is None:
            client.seat = resumed
            client.first = joined(self._model, resumed, resumed=True)
            client.up_to = frame.ack
            resumed.tokens = ["", used]

    async def _drop(self, client: Client) -> None:
        client.live = False
        self._model.close(client.seat)
        client.lingers = client.seat.away
        self._hub.close(client.connection)
        self._hub.release(client.connection)
        self._clients = [c for c in self._clients if c is not client or c.lingers]
        await self._look()

    async def _expire(self, client: Client) -> None:
        # The timer of the grace time calls this.
        self._hub.end(client.connection.participant)
        self._model.end(client.seat)
        await self._look()

    async def _look(self) -> None:
        for client in self._clients:
            finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            client.outlet.finish(partial(finished.set_result, None))
            await finished
        for client in self._clients:
            seat = client.seat
            if client.live:
                self._compare(client)
                seat.wrote()
            if seat.ended is not None:
                client.status = seat.ended or client.status if client.live else client.status
                client.live = client.lingers = False
            assert client.call.status == client.status
            if client.status is not None:
                self._hub.close(client.connection)
                self._hub.release(client.connection)
        self._clients = [c for c in self._clients if c.live or c.lingers]
        self._compare_rooms()

    def _compare(self, client: Client) -> None:
        seat, call = client.seat, client.call
        for frame in call.frames[client.heard :]:
            assert frame.ack <= seat.received
            if frame.WhichOneof("event") is None and not frame.seq:
                continue
            if client.first is not None:
                assert frame.ack == seat.received
                _assert_same(frame, client.first, 0)
                client.first = None
            else:
                client.up_to += 1
                assert client.up_to <= len(seat.told), f"no frame was due: {frame}"
                _assert_same(frame, seat.told[client.up_to - 1], client.up_to)
            if token := frame.join_room.resume_token:
                assert seat.resumable
                seat.tokens = [token, *seat.tokens[1:]]
                self._tokens.append((token, seat.user, seat.room))
        client.heard = len(call.frames)
        assert client.first is None, "the client was not told that it has resumed"
        assert client.up_to == len(seat.told), f"the client was not told: {seat.told[client.up_to]}"

    def _compare_rooms(self) -> None:
        there = {
            room_id: sorted(member.user_id for member in room.seats.values())
            for room_id, room in self._broker._rooms._rooms.items()  # noqa: SLF001 - the hub shows no rooms
        }
        assert all(len(users) <= 2 for users in there.values()), "three in a room"
        assert there == {
            room_id: sorted(seat.user.name for seat in seats)
            for room_id, seats in self._model.rooms.items()
        }

    def _look_for_remains(self) -> None:
        registry = self._hub.registry
        assert not self._clients
        assert not self._model.rooms
        assert (len(self._hub), len(registry.tokens)) == (0, 0)
        assert not registry._connections  # noqa: SLF001 - nothing else shows what stays
        assert registry._streams == 0  # noqa: SLF001 - as above
        assert not registry._users._counts  # noqa: SLF001 - as above
        assert not registry._addresses._counts  # noqa: SLF001 - as above


def _decoded(data: bytes) -> pb.SignalRequest:
    try:
        return pb.SignalRequest.FromString(data)
    except DecodeError:
        # As the servicer does.
        return pb.SignalRequest(frames=[pb.Frame()])


def _assert_same(frame: pb.Frame, expected: pb.Frame, seq: int) -> None:
    assert frame.seq == seq, f"number {frame.seq} came, and {seq} was next"
    said, due = pb.Frame(), pb.Frame()
    said.CopyFrom(frame)
    due.CopyFrom(expected)
    said.seq = due.seq = said.ack = due.ack = 0
    if said.HasField("error"):
        said.error.message = ""
    if said.join_room.resume_token:
        said.join_room.resume_token = ""
    assert said == due, f"received: {said}, expected: {due}"
