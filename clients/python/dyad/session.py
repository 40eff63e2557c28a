"""The client's side of a session: the numbers sent and received, and the frames to keep.

It is plain state without I/O. The link asks it what to write next, and reports what
arrived. It does not know the streams that carry it, one after another.
"""

from collections import deque
from itertools import islice
from typing import Final

import grpc

from dyad.errors import ended
from dyad.v1 import signaling_pb2 as pb

# The bounds of unacknowledged frames, and when an acknowledgement is due; docs/protocol.md.
UNACKED_FRAMES: Final = 256
UNACKED_BYTES: Final = 256 * 1024
ACK_FRAMES: Final = 32
ACK_BYTES: Final = 32 * 1024

# With less than this unacknowledged, the next frame never waits: the server counts without
# `_FRAME_OVERHEAD`, and need not acknowledge less than `ACK_BYTES`.
LEAST_BYTES: Final = 34 * 1024

# The most that goes into one message. A larger frame has a message of its own.
_MESSAGE_BYTES: Final = 200 * 1024
# What a frame adds to a message besides its own bytes: its tag, its length, its `ack`.
_FRAME_OVERHEAD: Final = 24


class Session:
    """Numbers frames, puts them into messages, and keeps those that may be needed again.

    `take` returns each frame once. In a resumable session the frame is kept until it
    is acknowledged, and after a `cut` `take` returns it again.

    Attributes:
        received: the highest number received from the server.
        acknowledged: the highest number that the server has acknowledged.
        room_id: the room with the seat, or empty.
        resume_token: resumes the seat, or empty if there is no seat to resume.
        resuming: whether a resume waits for its answer.
    """

    __slots__ = (
        "_ack_sent",
        "_asked",
        "_bytes_since_ack",
        "_keeping",
        "_kept",
        "_kept_bytes",
        "_last",
        "_most_in_message",
        "_owes_ack",
        "_window_bytes",
        "_window_frames",
        "_written",
        "_written_bytes",
        "acknowledged",
        "received",
        "resume_token",
        "resuming",
        "room_id",
    )

    def __init__(
        self,
        *,
        window_frames: int = UNACKED_FRAMES,
        window_bytes: int = UNACKED_BYTES,
        message_bytes: int = _MESSAGE_BYTES,
        message_frames: int = UNACKED_FRAMES,
    ) -> None:
        """Start a session. The defaults are the contract's bounds; the server may accept less.

        Args:
            window_frames: the most frames that may be unacknowledged.
            window_bytes: the most bytes that may be unacknowledged.
            message_bytes: the most bytes in a message. A larger frame has its own message.
            message_frames: the most frames in a message.
        """
        self._window_frames = min(window_frames, UNACKED_FRAMES)
        self._window_bytes = min(window_bytes, UNACKED_BYTES)
        self._most_in_message = min(message_bytes, _MESSAGE_BYTES), message_frames
        self.received = 0
        self.acknowledged = 0
        self.resume_token = ""
        self.resuming = False
        self.room_id = ""
        self._asked = False
        self._keeping = False
        # The frames kept, in order. The first `_written` of them have been written.
        self._last = 0
        self._kept: deque[tuple[pb.Frame, int]] = deque()
        self._kept_bytes = 0
        self._written = 0
        self._written_bytes = 0
        # The last acknowledgement that was sent.
        self._ack_sent = 0
        self._bytes_since_ack = 0
        self._owes_ack = False

    @property
    def full(self) -> bool:
        """Whether so much is kept that the app should wait before it sends more."""
        return len(self._kept) > self._window_frames or self._kept_bytes > self._window_bytes

    def put(self, frame: pb.Frame) -> int:
        """Number `frame` and keep it for `take`.

        Returns:
            Its number, which the server's `reply_to` will name.
        """
        self._last += 1
        frame.seq = self._last
        size = frame.ByteSize() + _FRAME_OVERHEAD
        self._kept.append((frame, size))
        self._kept_bytes += size
        if frame.join_room.resumable:
            self._keeping = True
        return frame.seq

    def take(self) -> pb.SignalRequest | None:
        """Return the next message, or None if there is nothing to write now."""
        if self.resuming:
            return self._ask()
        frames = self._gather()
        if not self._keeping:
            self._forget(self._written)
        if not frames and not self._ack_due():
            return None
        request = pb.SignalRequest(frames=frames or [pb.Frame()])
        request.frames[-1].ack = self._ack_sent = self.received
        self._bytes_since_ack = 0
        self._owes_ack = False
        return request

    def arrive(self, frame: pb.Frame) -> bool:
        """Record a frame from the server.

        Returns:
            False if the frame is a repeat, to be ignored.

        Raises:
            TakenOver: a frame is missing, or the seat was not resumed.
        """
        if self.resuming:
            self._resumed(frame)
            return True
        self._note_ack(frame.ack)
        if frame.seq and frame.seq <= self.received:
            return False
        if frame.seq > self.received + 1:
            raise ended(
                grpc.StatusCode.ABORTED,
                f"The server sent frame {frame.seq}, but frame {self.received + 1} was next.",
            )
        if frame.seq:
            self.received = frame.seq
            self._bytes_since_ack += frame.ByteSize()
        if frame.reply_to and frame.WhichOneof("event") in ("join_room", "leave_room"):
            self.room_id = frame.room_id if frame.HasField("join_room") else ""
            self.resume_token = frame.join_room.resume_token
            self._keeping = bool(self.resume_token)
        return True

    def cut(self) -> None:
        """Record that the stream broke. `take` begins the next stream with a resume."""
        self.resuming = True
        self._asked = False

    def _ask(self) -> pb.SignalRequest | None:
        if self._asked:
            return None
        self._asked = True
        join_room = pb.JoinRoom(resumable=True, resume_token=self.resume_token)
        frame = pb.Frame(room_id=self.room_id, ack=self.received, join_room=join_room)
        return pb.SignalRequest(frames=[frame])

    def _resumed(self, answer: pb.Frame) -> None:
        if not answer.join_room.resumed:
            raise ended(grpc.StatusCode.ABORTED, "The server did not resume the seat.")
        self.resuming = False
        self.resume_token = answer.join_room.resume_token
        self._note_ack(answer.ack)
        self._written = self._written_bytes = 0
        self._owes_ack = True

    def _gather(self) -> list[pb.Frame]:
        """Return the frames of the next message, and count them as written."""
        frames: list[pb.Frame] = []
        total = 0
        most_bytes, most_frames = self._most_in_message
        for frame, size in islice(self._kept, self._written, None):
            if frames and (total + size > most_bytes or len(frames) == most_frames):
                break
            if self._keeping and not self._may_write(size):
                break
            frames.append(frame)
            total += size
            self._written += 1
            self._written_bytes += size
        return frames

    def _may_write(self, size: int) -> bool:
        """Whether this many more bytes may be unacknowledged. One frame always may be."""
        return not self._written or (
            self._written < self._window_frames
            and (
                self._written_bytes < LEAST_BYTES
                or self._written_bytes + size <= self._window_bytes
            )
        )

    def _ack_due(self) -> bool:
        return (
            self._owes_ack
            or self.received - self._ack_sent >= ACK_FRAMES
            or self._bytes_since_ack >= ACK_BYTES
        )

    def _note_ack(self, ack: int) -> None:
        if ack > self.acknowledged:
            self.acknowledged = ack
            first = self._last - len(self._kept) + 1
            self._forget(min(ack - first + 1, self._written))

    def _forget(self, count: int) -> None:
        """Drop the first `count` frames kept."""
        for _ in range(min(count, len(self._kept))):
            _, size = self._kept.popleft()
            self._kept_bytes -= size
            if self._written:
                self._written -= 1
                self._written_bytes -= size
