"""The hub, whose clients Hypothesis lets act in any order."""

from collections.abc import Callable
from typing import Any

from dyad_server.core.commands import Enter, Event, Identity, Input, Leave, Relay
from dyad_server.core.events import Departure, Member
from dyad_server.core.hub import Hub
from dyad_server.core.limits import Limits
from dyad_server.core.ports import Deliver, Observers
from dyad_server.core.states import GONE, State
from dyad_server.engines.memory import MemoryBroker, in_memory
from dyad_server.errors import Ended
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.fake_clock import FakeClock
from tests.unit.core.outlet import Silent

GRACE = 15.0
PLENTY = 10**9


def limits() -> Limits:
    values: dict[str, Any] = dict.fromkeys(Limits.__dataclass_fields__, PLENTY)
    values |= {"heartbeat": 10.0, "lease": 25.0, "resume_grace": GRACE}
    return Limits(**values | {"join_timeout": 10.0, "lone_timeout": 60.0})


class SlowBroker(MemoryBroker):
    """An engine that answers when the test says so, in the order of the requests."""

    def __init__(self, deliver: Deliver) -> None:
        super().__init__(deliver)
        self.requests: list[Callable[[], None]] = []

    def answer(self, count: int) -> None:
        for _ in range(min(count, len(self.requests))):
            self.requests.pop(0)()

    def enter(self, room_id: str, member: Member, *, create: bool, reply_to: int) -> None:
        enter = super().enter
        self.requests.append(lambda: enter(room_id, member, create=create, reply_to=reply_to))

    def leave(self, room_id: str, member_id: str, reason: Departure, *, reply_to: int) -> None:
        leave = super().leave
        self.requests.append(lambda: leave(room_id, member_id, reason, reply_to=reply_to))

    def resume(self, room_id: str, member_id: str) -> None:
        resume = super().resume
        self.requests.append(lambda: resume(room_id, member_id))

    def seats_user(self, room_id: str, user_id: str, then: Callable[[bool | None], None]) -> None:
        seats_user = super().seats_user
        self.requests.append(lambda: seats_user(room_id, user_id, then))

    def relay(self, room_id: str, member_id: str, payload: bytes, *, reply_to: int) -> None:
        relay = super().relay
        self.requests.append(lambda: relay(room_id, member_id, payload, reply_to=reply_to))


class Client(Silent):
    """A client and its outlet, which writes frames at once.

    Attributes:
        connection: its connection.
        ended: how often the server ended the connection.
        ack: the number of the last frame that it has received.
    """

    def __init__(self, hub: Hub, user: str) -> None:
        self.ended = 0
        self.ack = 0
        self.connection = hub.open(Identity(user), self, "192.0.2.1")

    def wake(self) -> None:
        participant = self.connection.participant
        if participant.connection is self.connection:
            for numbered in participant.session.take():
                self.ack = max(self.ack, numbered.seq)

    def end(self, failure: Ended) -> None:
        self.ended += 1


def seated(hub: Hub) -> Client:
    client = Client(hub, "alice")
    hub.receive(client.connection, Input(0, 0, 100, Enter("", resumable=True)))
    assert client.connection.participant.state is State.SEATED
    return client


def test_a_participant_that_was_handed_off_cannot_end_and_its_client_is_told_once() -> None:
    # A drain ends participants that it cannot hand off, but a node may just have claimed one.
    hub = Hub(in_memory, limits(), Observers(), clock := FakeClock())
    client = seated(hub)
    participant = client.connection.participant
    hub.let_go(participant, hub.going())
    hub.end(participant, hub.going())
    assert participant.state is State.HANDED_OFF
    assert (len(hub), client.ended) == (0, 1)
    hub.release(client.connection)
    clock.advance(10 * GRACE)
    assert clock.pending() == 0


def test_a_participant_from_another_node_has_the_grace_time_to_resume() -> None:
    clock = FakeClock()
    hub = Hub(in_memory, limits(), Observers(), clock)
    participant = hub.registry.new(Identity("alice"))
    participant.adopt("member", "room", "token", "", "")
    hub.adopt(participant, alone=True)
    clock.advance(GRACE - 1)
    assert hub.registry.tokens.owner("token", "alice", "room") is participant
    assert [each.state for each in hub] == [State.RESERVED]
    clock.advance(1)
    assert participant.gone
    assert len(hub) == 0


class Hubs(RuleBasedStateMachine):
    """A hub whose clients join, leave, disconnect and resume while the engine answers late."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.clients: list[Client] = []
        # For each token: its user, its room, and the last number that its client has received.
        self.tokens: dict[str, tuple[str, str, int]] = {}
        self.hub = Hub(self._make_engine, limits(), Observers(), self.clock)

    def _make_engine(self, hub: Hub) -> tuple[SlowBroker, None]:
        self.broker = SlowBroker(hub.deliver)
        return self.broker, None

    def _receive(self, client: Client, event: Event, ack: int = 0) -> None:
        self.hub.receive(client.connection, Input(0, ack, 100, event))

    @rule(
        data=st.data(),
        user=st.sampled_from("abc"),
        resumable=st.sampled_from([True, True, False]),
        answered=st.sampled_from([True, True, False]),
    )
    def join(self, data: st.DataObject, user: str, *, resumable: bool, answered: bool) -> None:
        waiting = [c for c in self.clients if c.connection.participant.state is State.WAITING]
        if waiting and len(self.clients) > 3:
            client = data.draw(st.sampled_from(waiting))
        else:
            client = Client(self.hub, user)
            self.clients.append(client)
        # Drawn by index, because ids and tokens are random.
        rooms = ["", *dict.fromkeys(each.room_id for each in self.hub if each.room_id)]
        room_id = rooms[data.draw(st.integers(0, len(rooms) - 1))]
        self._receive(client, Enter(room_id, resumable))
        if answered:
            self.broker.answer(PLENTY)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), leaves=st.sampled_from([True, False, False, False]))
    def speak(self, data: st.DataObject, *, leaves: bool) -> None:
        # Connections that broke are among them: a `Send` may still be under way.
        client = data.draw(st.sampled_from(self.clients))
        room_id = client.connection.participant.room_id
        self._receive(client, Leave(room_id) if leaves else Relay(room_id, b"frame", "offer"))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), keep=st.booleans())
    def break_off(self, data: st.DataObject, *, keep: bool) -> None:
        client = data.draw(st.sampled_from(self.clients))
        self.hub.close(client.connection)
        if not keep:
            self.clients.remove(client)
            self.hub.release(client.connection)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        # Tokens that are still valid come first, so that they are drawn more often.
        valid = [each.resume_token for each in self.hub if each.resume_token]
        tokens = valid + list(self.tokens)[-2:]
        token = tokens[data.draw(st.integers(0, len(tokens) - 1))]
        user, room_id, ack = self.tokens[token]
        client = Client(self.hub, user)
        client.ack = ack
        self.clients.append(client)
        self._receive(client, Enter(room_id, resume_token=token), ack)

    @rule(count=st.integers(1, 5))
    def answer(self, count: int) -> None:
        self.broker.answer(count)

    @rule(seconds=st.sampled_from([1.0, 1.0, GRACE - 1.0, GRACE, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def each_participant_has_what_its_state_says(self) -> None:
        for each in self.hub:
            connected = each.connection is not None and each.connection.open
            coming = each.coming is not None and each.coming.open
            assert each.state not in GONE
            assert connected == (each.state in (State.WAITING, State.ENTERING, State.SEATED))
            assert coming == (each.state is State.RESUMING)
            assert (each.broken is not None) == (each.state is State.RESERVED)
            assert bool(each.room_id) == (each.state is not State.WAITING)
            assert not each.resume_token or each.session.resumable
            if each.resume_token:
                ack = max(
                    (c.ack for c in self.clients if c.connection.participant is each), default=0
                )
                self.tokens[each.resume_token] = (each.identity.user_id, each.room_id, ack)

    @invariant()
    def a_connection_that_is_over_ended_once(self) -> None:
        for client in self.clients:
            assert client.ended <= (not client.connection.open)

    def teardown(self) -> None:
        for client in self.clients:
            self.hub.close(client.connection)
            self.hub.release(client.connection)
        self.broker.answer(PLENTY)
        self.clock.advance(10 * GRACE)
        self.broker.answer(PLENTY)
        registry = self.hub.registry
        assert (len(self.hub), len(registry.tokens)) == (0, 0)
        assert self.clock.pending() == 0
        assert not registry._connections  # noqa: SLF001 - nothing else shows what stays
        assert not registry._users._counts  # noqa: SLF001 - as above
        assert not registry._away._counts  # noqa: SLF001 - as above
        assert not self.broker._rooms._rooms  # noqa: SLF001 - as above


TestHubs = Hubs.TestCase


TestHubs.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
