"""The interface to wherever room state lives."""

from collections.abc import Callable
from typing import Protocol

from dyad_server.core.events import Departure, Member, Output

Deliver = Callable[[Output], None]


def nobody(output: Output) -> None:
    """Where outputs go before `deliver_to`: nowhere, for there can be none."""
    raise RuntimeError(f"deliver_to comes first: {type(output.event).__name__}")


class Broker(Protocol):
    """Keeps the rooms and carries what their members say to each other.

    The promise:

    - The inputs of one member take effect in the order of the calls.
    - Whatever comes of an input is handed to `deliver`: each output once, those
      of one room in one order that all its members see alike. A newcomer's
      `Joined` comes before anything of its peer's.
    - A call returns without waiting for anything; its outputs may come before
      it returns or after.
    - `deliver` must not raise, and may call the broker again.
    """

    def deliver_to(self, deliver: Deliver) -> None:
        """Hand outputs to `deliver`; before any input."""

    @property
    def node(self) -> str:
        """This node's name among others; empty: there are no others."""

    @property
    def ready(self) -> bool:
        """Whether rooms can be entered now."""

    async def start(self) -> None:
        """Begin; before any other call.

        Raises:
            ConfigError: the engine is not there, or is not fit.
        """

    async def stop(self) -> None:
        """Say what is still to be said, and end."""

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """Give `member` a seat, in a new room if `create` and there is none.

        A user that already sits there takes its own seat: the session that had
        it is told `Evicted`, the peer `PeerLeft` with REPLACED, then `PeerJoined`.

        A member enters once: who left enters as another one, or what was said
        to it before could be taken for what is said now.
        """

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """Free the seat of `member_id`."""

    def resume(self, room_id: str, member_id: str) -> None:
        """Give its seat back to `member_id`, which is told `Joined` with `resumed`."""

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        """Tell `then` whether a session of that user sits in that room; None: nobody can say."""

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        """Pass `payload` to the other one in the room."""
