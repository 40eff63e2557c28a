"""Rooms in this process's memory: the default, for one node."""

from collections import deque
from collections.abc import Callable, Mapping

from dyad_server.core.events import Departure, Member, Output
from dyad_server.core.hub import Hub
from dyad_server.core.ports import Broker, Deliver, Fleet
from dyad_server.core.room_ids import new_room_id
from dyad_server.core.rooms import Rooms


def in_memory(hub: Hub) -> tuple[Broker, None]:
    """The engine of a single node: see `hub.MakeEngine`."""
    return MemoryBroker(hub.deliver), None


class MemoryBroker:
    """A `Broker` whose outputs are all delivered before the method returns."""

    def __init__(self, deliver: Deliver) -> None:
        """Hand outputs to `deliver`."""
        self._deliver = deliver
        self._rooms = Rooms()
        self._due: deque[Output] = deque()
        self._delivering = False

    @property
    def node(self) -> str:
        """See `Broker.node`."""
        return ""

    @property
    def fleets(self) -> Mapping[str, Fleet]:
        """See `Broker.fleets`: there are no other nodes."""
        return {}

    @property
    def ready(self) -> bool:
        """See `Broker.ready`: always."""
        return True

    async def start(self) -> None:
        """See `Broker.start`: there is nothing to start."""

    async def stop(self) -> None:
        """See `Broker.stop`: there is nothing to stop."""

    def new_room_id(self, routing_key: str) -> str:
        """See `Broker.new_room_id`."""
        return new_room_id(routing_key)

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        """See `Broker.enter`."""
        self._tell(self._rooms.enter(room_id, member, create=create, reply_to=reply_to))

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        """See `Broker.leave`."""
        self._tell(self._rooms.leave(room_id, member_id, reason, reply_to=reply_to))

    def resume(self, room_id: str, member_id: str) -> None:
        """See `Broker.resume`."""
        self._tell(self._rooms.resume(room_id, member_id))

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        """See `Broker.seats_user`."""
        then(self._rooms.seats_user(room_id, user_id))

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        """See `Broker.relay`."""
        self._tell(self._rooms.relay(room_id, member_id, payload, reply_to=reply_to))

    def remote_peer(self, room_id: str, member_id: str) -> str:  # noqa: ARG002 - as the port says
        """See `Broker.remote_peer`: there are no other nodes."""
        return ""

    def _tell(self, outputs: list[Output]) -> None:
        # A delivery may free a seat, which is another input: what comes of it
        # waits its turn, or members would see it out of order.
        self._due.extend(outputs)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._due:
                self._deliver(self._due.popleft())
        finally:
            self._delivering = False
