"""The client's session against the server's, over random schedules of disconnects."""

from collections import deque
from dataclasses import dataclass, field

from dyad.session import Session
from dyad.v1 import signaling_pb2 as pb
from dyad_server.core.session import Arrival
from dyad_server.core.session import Session as ServerSession
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule


@dataclass
class Wire:
    """The messages in flight on one stream."""

    out: deque[pb.SignalRequest] = field(default_factory=deque)
    back: deque[list[pb.Frame]] = field(default_factory=deque)


class Cuts(RuleBasedStateMachine):
    """The client's session and the server's, over streams that break anywhere.

    This stands in for the link and the hub between them, which do the same with more care.
    """

    @initialize()
    def join(self) -> None:
        self.client, self.server = (
            Session(),
            ServerSession[pb.Frame](1 << 30, 1 << 30, pb.Frame.ByteSize),
        )
        self.wire = Wire()
        self.attached = True
        self.sent = {"up": 0, "down": 0}
        self.heard: dict[str, list[str]] = {"up": [], "down": []}
        self.client.put(pb.Frame(join_room=pb.JoinRoom(resumable=True)))
        self.client_writes()
        self.server.arrive(self.wire.out.popleft().frames[0].seq)
        self.server.resumable = True
        joined = pb.Frame(room_id="r", reply_to=1, join_room=pb.JoinRoom(resume_token="token"))
        self.server.put(joined)
        self.server_writes()
        self.client_reads()

    @rule(size=st.sampled_from([1, 1, 1, 20_000]))
    def client_says(self, size: int) -> None:
        self.client.put(_offer(f"{self._next('up')}:" + "x" * size))

    @rule()
    def client_says_a_burst(self) -> None:
        for _ in range(100):
            self.client_says(1)

    @rule(size=st.sampled_from([1, 1, 1, 20_000]))
    def server_says(self, size: int) -> None:
        assert self.server.put(_offer(f"{self._next('down')}:" + "x" * size))

    @rule()
    def client_writes(self) -> None:
        if (message := self.client.take()) is not None:
            self.wire.out.append(message)

    @rule()
    def server_writes(self) -> None:
        if not self.attached:
            return
        frames = []
        for numbered in self.server.take():
            frame = pb.Frame()
            frame.CopyFrom(numbered.what)
            frame.seq = numbered.seq
            frames.append(frame)
        if not frames and self.server.ack_due:
            frames.append(pb.Frame())
        if frames:
            frames[-1].ack = self.server.ack()
            if not frames[0].seq:
                frames[0].ack = self.server.received
            self.wire.back.append(frames)

    @rule()
    def client_reads(self) -> None:
        if self.wire.back:
            for frame in self.wire.back.popleft():
                if self.client.arrive(frame) and frame.HasField("offer"):
                    self._hear("down", frame)

    @rule()
    def server_reads(self) -> None:
        if not self.wire.out:
            return
        for frame in self.wire.out.popleft().frames:
            if frame.join_room.resume_token:
                assert self.server.rewind(frame.ack)
                resumed = pb.JoinRoom(resumed=True, resume_token="token")
                self.server.put_first(pb.Frame(room_id="r", join_room=resumed))
                self.attached = True
            else:
                arrival = self.server.arrive(frame.seq, frame.ByteSize())
                assert arrival is not Arrival.GAP
                assert not frame.ack or self.server.acknowledged(frame.ack)
                if arrival is Arrival.NEW and frame.HasField("offer"):
                    self._hear("up", frame)

    @rule()
    def the_stream_breaks(self) -> None:
        self.wire = Wire()
        self.attached = False
        self.client.cut()

    @invariant()
    def nothing_arrives_twice_or_out_of_order(self) -> None:
        for heard in getattr(self, "heard", {}).values():
            assert heard == [str(number) for number in range(len(heard))]

    def teardown(self) -> None:
        if not hasattr(self, "wire"):
            return
        while self.wire.out or self.wire.back or self._something_to_write():
            self.server_reads()
            self.client_reads()
        assert {way: len(heard) for way, heard in self.heard.items()} == self.sent

    def _something_to_write(self) -> bool:
        self.client_writes()
        self.server_writes()
        return bool(self.wire.out or self.wire.back)

    def _next(self, way: str) -> int:
        self.sent[way] += 1
        return self.sent[way] - 1

    def _hear(self, way: str, frame: pb.Frame) -> None:
        self.heard[way].append(frame.offer.sdp.partition(":")[0])


TestCuts = Cuts.TestCase
TestCuts.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def _offer(sdp: str) -> pb.Frame:
    return pb.Frame(room_id="r", offer=pb.SessionDescription(sdp=sdp))
