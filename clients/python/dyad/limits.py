"""What the server accepts from one user, and the pace of a client that stays below that.

It is plain state without I/O: the time is handed in.
"""

from dataclasses import dataclass
from typing import Final

from dyad.session import ACK_FRAMES, LEAST_BYTES

# The server measures when messages arrive, and networks deliver them unevenly.
_SHARE: Final = 0.9
# The server accepts so many seconds of its rates at once.
_SERVER_SECONDS: Final = 5
# Of these, so many may be sent at once, and so many may be unacknowledged: whatever a network
# delays, and then delivers at once, is less.
_BURST_SECONDS: Final = 1.5
_WINDOW_SECONDS: Final = 3
# The most frames that the server need not acknowledge, and one more.
_LEAST_FRAMES: Final = ACK_FRAMES + 1


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the server. The defaults are the defaults of the server's settings.

    Attributes:
        frame_bytes: the most bytes in a frame (`--max-frame-bytes`). Larger ones raise
            `TooLarge`.
        frames_per_second: the most frames a second, averaged over 5 seconds
            (`--max-frames-per-second`). The client sends more slowly than that.
        bytes_per_second: the same in bytes (`--max-bytes-per-second`).
    """

    frame_bytes: int = 65_536
    frames_per_second: int = 100
    bytes_per_second: int = 32_768

    def __post_init__(self) -> None:
        if min(self.frame_bytes, self.frames_per_second, self.bytes_per_second) < 1:
            raise ValueError("Each limit is at least 1.")

    @property
    def largest_frame(self) -> int:
        """The most bytes of a frame that can be sent: one that must not wait for ever."""
        return min(self.frame_bytes, int(self.bytes_per_second * _SHARE * _SERVER_SECONDS))


class Pace:
    """Says how long a message must wait. It is a token bucket for frames and one for bytes.

    Attributes:
        message_frames: the most frames for one message, so that none waits long.
        message_bytes: the same in bytes. A larger frame has a message of its own.
        window_frames: the most frames that may be unacknowledged.
        window_bytes: the same in bytes.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._frames = _Bucket(limits.frames_per_second, now)
        self._bytes = _Bucket(limits.bytes_per_second, now)
        self.message_frames = max(int(self._frames.rate), 1)
        self.message_bytes = int(self._bytes.rate)
        self.window_frames = max(_WINDOW_SECONDS * limits.frames_per_second, _LEAST_FRAMES)
        self.window_bytes = max(
            _WINDOW_SECONDS * limits.bytes_per_second, LEAST_BYTES + limits.frame_bytes
        )

    def wait(self, frames: int, size: int, now: float) -> float:
        """Return how many seconds a message of so many frames and bytes must wait."""
        return max(self._frames.wait(frames, now), self._bytes.wait(size, now))

    def spend(self, frames: int, size: int, now: float) -> None:
        """Record that a message is sent."""
        # The server counts each message as at least one frame.
        self._frames.spend(max(frames, 1), now)
        self._bytes.spend(size, now)


class _Bucket:
    def __init__(self, per_second: float, now: float) -> None:
        self.rate = per_second * _SHARE
        self.most = per_second * _BURST_SECONDS
        self._level = self.most
        self._then = now

    def wait(self, amount: float, now: float) -> float:
        self._fill(now)
        # What is more than the bucket holds is sent when the bucket is full.
        return max(min(amount, self.most) - self._level, 0.0) / self.rate

    def spend(self, amount: float, now: float) -> None:
        self._fill(now)
        self._level -= amount

    def _fill(self, now: float) -> None:
        self._level = min(self._level + (now - self._then) * self.rate, self.most)
        self._then = now
