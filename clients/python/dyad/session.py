"""This side of a session: numbers in, numbers out, what waits to be written.

Plain state, without I/O: the connection asks it what to write next. It knows
nothing of the stream that carries it, so it can go on over another one.
"""

from collections import deque
from typing import Final

import grpc

from dyad.errors import ended
from dyad.v1 import signaling_pb2 as pb

MESSAGE_BYTES: Final = 200 * 1024

# What a frame takes in a message beside itself: its tag, its length, its `ack`.
_FRAME_OVERHEAD: Final = 24


class Session:
    """Numbers frames, and gathers those that wait into messages.

    Attributes:
        taken_in: the highest number taken in from the server; the `ack` to send.
        waiting_bytes: how much is in `put` and not yet out of `take`.
    """

    __slots__ = ("_message_bytes", "_next", "_waiting", "taken_in", "waiting_bytes")

    def __init__(self, message_bytes: int = MESSAGE_BYTES) -> None:
        """Gather at most `message_bytes` into a message; a larger frame goes alone."""
        self._message_bytes = message_bytes
        self._next = 1
        self._waiting: deque[tuple[pb.Frame, int]] = deque()
        self.taken_in = 0
        self.waiting_bytes = 0

    def put(self, frame: pb.Frame) -> int:
        """Number `frame` and hold it for the next `take`.

        Returns:
            Its number, which the server's `reply_to` will name.
        """
        frame.seq = self._next
        self._next += 1
        size = frame.ByteSize() + _FRAME_OVERHEAD
        self._waiting.append((frame, size))
        self.waiting_bytes += size
        return frame.seq

    def take(self) -> pb.SignalRequest | None:
        """All that waits, in order, up to the size of a message; None: nothing."""
        if not self._waiting:
            return None
        frames: list[pb.Frame] = []
        total = 0
        while self._waiting:
            frame, size = self._waiting[0]
            if frames and total + size > self._message_bytes:
                break
            self._waiting.popleft()
            frame.ack = self.taken_in
            frames.append(frame)
            total += size
        self.waiting_bytes -= total
        return pb.SignalRequest(frames=frames)

    def arrive(self, seq: int) -> bool:
        """Take note of an inbound frame's number; 0 is not numbered.

        Returns:
            Whether the frame is to be taken in; otherwise it was before.

        Raises:
            TakenOver: a frame in between is missing.
        """
        if seq == 0:
            return True
        if seq <= self.taken_in:
            return False
        if seq > self.taken_in + 1:
            raise ended(
                grpc.StatusCode.ABORTED,
                f"Number {seq} came from the server; number {self.taken_in + 1} was next.",
            )
        self.taken_in = seq
        return True
