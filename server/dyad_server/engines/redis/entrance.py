"""How a member gets a seat: Redis gives it, once all members that had one have it again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dyad_server.core.events import (
    EngineUnavailable,
    Event,
    Evicted,
    Output,
    Refusal,
    refuse,
)
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.fleet_membership import FleetMembership
from dyad_server.engines.redis.local_members import LocalMembers
from dyad_server.engines.redis.reconcile import Reconciler
from dyad_server.engines.redis.script_answers import Entered, Verdict
from dyad_server.engines.redis.seats import Seat
from dyad_server.engines.redis.store import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A seat that is asked for.

    Attributes:
        seat: the seat.
        reply_to: the number of the frame that asks for it.
        deadline: when its member is refused, on the clock of this server.
        create: whether to create a room that does not exist.
        seal: what to do with the seal of the room.
    """

    seat: Seat
    reply_to: int
    deadline: float
    create: bool
    seal: Seal


class Entrance:
    """Asks Redis for seats."""

    def __init__(
        self,
        membership: FleetMembership,
        members: LocalMembers,
        reconciler: Reconciler,
        free_late: Callable[[Seat], None],
    ) -> None:
        """Seat `members`; `free_late` frees a seat that was given too late."""
        self._membership = membership
        self._clock = membership.clock
        self._store = membership.store
        self._members = members
        self._reconciler = reconciler
        self._free_late = free_late

    def ask(self, request: Request) -> None:
        """Ask for a seat as soon as all members that had one have it again."""
        seat = request.seat
        left = request.deadline - self._clock.monotonic()
        if seat.abandoned or left <= 0 or not self._membership.holds:
            self._entered(request, None)
            return

        def later() -> None:
            self._clock.call_later(min(bounds.TICK_SECONDS, left), partial(self.ask, request))

        def answered(answer: Entered | Verdict | None) -> None:
            if answer is Verdict.AGAIN:
                self._membership.hurry()
                later()
            else:
                self._entered(request, answer)

        if self._reconciler.ready:
            script = self._store.enter(
                seat.room_id,
                seat.member,
                create=request.create,
                seal=request.seal,
                until_ms=self._membership.lease.redis_ms(request.deadline),
            )
            seat.asked_for(self._membership.ask(script, answered, left))
        else:
            later()

    def _entered(self, request: Request, answer: Entered | Verdict | None) -> None:
        seat = request.seat
        if isinstance(answer, Entered) and not seat.abandoned:
            self._seat(request, answer)
        else:
            self._members.seats.remove(seat)
            if not isinstance(answer, Verdict):
                # It may have a seat by now, which no participant uses.
                self._free_late(seat)
            if not seat.abandoned:
                self._members.deliver(_refusal(request, answer))
        while seat.waiting:
            seat.waiting.popleft()()
        self._members.links.seated(seat.member.id)

    def _seat(self, request: Request, entered: Entered) -> None:
        seat = request.seat
        seat.give(polite=entered.polite, epoch=entered.epoch, peer=entered.peer)
        self._members.announce_join(seat, request.reply_to, entered.evicted)
        self._reconciler.assert_late(seat, entered.term)


def _refusal(request: Request, answer: Entered | Verdict | None) -> Output:
    seat, reply_to = request.seat, request.reply_to
    if answer is Verdict.FULL:
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_FULL)
    if answer is Verdict.NOT_FOUND:
        return refuse(seat.member.id, seat.room_id, reply_to, Refusal.ROOM_NOT_FOUND)
    event: Event = Evicted() if answer is Verdict.REPLACED else EngineUnavailable()
    return Output(seat.member.id, seat.room_id, reply_to, event)
