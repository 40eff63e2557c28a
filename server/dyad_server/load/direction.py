"""The frames from one side of a call to the other: nothing lost, doubled, reordered or altered.

A state machine that is handed the time.
"""

import math

from dyad_server.load import bounds

_LINES = "a=rtcp-fb:96 goog-remb\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
_FILLER = _LINES * math.ceil(bounds.OFFER_BYTES / len(_LINES))


class Direction:
    """What one user sends in a call, and what of it has arrived at the other.

    Attributes:
        sent: how many frames were sent.
        doubled: frames that had arrived before.
        reordered: frames that arrived after a later one.
        altered: frames that nobody in this call has sent like this.
    """

    def __init__(self, sender: str) -> None:
        """Begin with the first frame of this user."""
        self.sent = 0
        self.doubled = 0
        self.reordered = 0
        self.altered = 0
        self._sender = sender
        self._sent_at: list[float] = []
        self._sizes: list[int] = []
        self._arrived: set[int] = set()
        self._highest = 0

    @property
    def arrived(self) -> int:
        """How many frames have arrived."""
        return len(self._arrived)

    @property
    def lost(self) -> int:
        """How many frames have not arrived."""
        return self.sent - self.arrived

    @property
    def wrong(self) -> bool:
        """Whether anything did not arrive as it was sent."""
        return bool(self.lost or self.doubled or self.reordered or self.altered)

    def send(self, size: int, now: float) -> str:
        """The text of the next frame: as long as a browser's, and unlike any other."""
        self.sent += 1
        self._sent_at.append(now)
        self._sizes.append(size)
        return self._text(self.sent)

    def take(self, text: str, now: float) -> float | None:
        """Note that a text has arrived; returns the seconds that it took, if it is new."""
        digits = text.partition(" ")[0]
        number = int(digits) if digits.isdecimal() else 0
        if not 1 <= number <= self.sent or text != self._text(number):
            self.altered += 1
            return None
        if number in self._arrived:
            self.doubled += 1
            return None
        if number < self._highest:
            self.reordered += 1
        self._arrived.add(number)
        self._highest = max(self._highest, number)
        return now - self._sent_at[number - 1]

    def _text(self, number: int) -> str:
        head = f"{number} {self._sender}\r\n"
        return head + _FILLER[: max(self._sizes[number - 1] - len(head), 0)]
