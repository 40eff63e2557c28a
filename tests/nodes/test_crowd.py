"""Never more than two in a room, and both agree on it, while networks and Redis fail."""

import asyncio
import os
import random
import secrets
import uuid
from collections import deque

import pytest
from dyad_server.core.events import (
    Departure,
    EngineUnavailable,
    Event,
    Evicted,
    Joined,
    Left,
    OutOfSync,
    PeerJoined,
    PeerLeft,
    Refused,
)
from redis.asyncio import Redis

from tests.nodes.brokers import NODES, Guest, Node, Party, party, sharded_party
from tests.nodes.pulse import Pulse
from tests.support.clock import within
from tests.support.depth import depth
from tests.support.proxy import Proxy, Way
from tests.support.until import until

SECONDS = depth("STORM_CROWD_SECONDS", here=8, ci=15)
SEED = os.environ.get("STORM_SEED") or secrets.token_hex(4)
CLIENTS = 30
ROOMS = 10
READY_SECONDS = 10.0
SETTLE_SECONDS = 3.0
REMEMBERED_FAULTS = 12
WAYS: dict[str, tuple[Way, ...]] = {"away": (), "mute": (Way.OUT,), "deaf": (Way.BACK,)}
FAULTS = ("flush", "cut", "abandoned", *WAYS)
# A node checks every 8 s whether its peers are still there.
AGREED_SECONDS = 12.0


class Crowd:
    """Clients that join and leave rooms; records who is inside, by what they were told."""

    def __init__(self, here: Party, pulse: Pulse) -> None:
        self._here = here
        self._pulse = pulse
        self._rooms = [str(uuid.uuid4()) for _ in range(ROOMS)]
        self.inside: dict[str, set[Guest]] = {room: set() for room in self._rooms}
        self.peers: dict[Guest, str] = {}
        self.faults: deque[str] = deque(maxlen=REMEMBERED_FAULTS)
        self.over = asyncio.Event()
        self.entering = 0
        self.entered = 0

    async def come_and_go(self, number: int) -> None:
        chance = random.Random(f"{SEED} {number}")
        while not self.over.is_set():
            guest = self._here.guest(
                f"user-{number}", chance.randrange(NODES), chance.choice(self._rooms)
            )
            self.entering += 1
            guest.enter(create=chance.random() < 0.7)
            answer = await guest.told()
            while not isinstance(answer, Joined | Refused | EngineUnavailable):
                self._note(guest, answer)
                answer = await guest.told()
            self.entering -= 1
            if not isinstance(answer, Joined):
                await asyncio.sleep(chance.random() * 0.2)
                continue
            self._come(guest, answer)
            await self._stay(guest, chance.random() * 0.5)

    def _come(self, guest: Guest, answer: Joined) -> None:
        self.entered += 1
        inside = self.inside[guest.room]
        inside.add(guest)
        self.peers[guest] = answer.peer.id if answer.peer else ""
        # A guest on a node without Redis may not know yet that its seat is lost; a guest
        # with an unread event may just have been told so.
        counted = [each for each in inside if each.node.serves(each.room) and each.heard.empty()]
        # All nodes are in this process. If it was frozen, the last to ask Redis knows last.
        assert len(counted) <= 2 or self._pulse.missed, self._told_of(counted)

    def _told_of(self, guests: list[Guest]) -> str:
        nodes = [self._here.nodes.index(guest.node) for guest in guests]
        now = asyncio.get_running_loop().time()
        return f"STORM_SEED={SEED}: {now:.2f} guests of nodes {nodes}, after {[*self.faults]}"

    def fault(self, what: str) -> None:
        """Note a fault, for the message of a failure."""
        self.faults.append(f"{asyncio.get_running_loop().time():.2f} {what}")

    async def _stay(self, guest: Guest, seconds: float) -> None:
        """Receive its events; leave after so many seconds, unless the test is over before."""
        leaving = asyncio.get_running_loop().call_later(seconds, self._leave, guest)
        while guest in self.inside[guest.room]:
            self._note(guest, await guest.told(3600))
        leaving.cancel()

    def _leave(self, guest: Guest) -> None:
        if not self.over.is_set() and guest in self.inside[guest.room]:
            self.inside[guest.room].discard(guest)
            guest.leave()

    def _note(self, guest: Guest, event: Event) -> None:
        match event:
            case PeerJoined(who):
                self.peers[guest] = who.id
            case PeerLeft(who):
                assert self.peers[guest] == who.id, "a peer left that was not there"
                self.peers[guest] = ""
            case OutOfSync():
                # As the hub does.
                self.inside[guest.room].discard(guest)
                guest.leave(Departure.DISCONNECTED)
            case Left() | Evicted():
                self.inside[guest.room].discard(guest)

    def served_by(self, node: Node) -> bool:
        """Whether all rooms can be entered on this node now."""
        return all(map(node.serves, self._rooms))

    def agrees(self) -> bool:
        """Whether all joins are answered, and the two (at most) in each room name each other."""
        return not self.entering and all(
            len(inside) <= 2
            and all(self.peers[one] == "".join(two.id for two in inside - {one}) for one in inside)
            for inside in self.inside.values()
        )


async def break_it(here: Party, crowd: Crowd, seconds: float) -> int:
    """Break networks and Redis for so long; returns the number of faults."""
    chance = random.Random(f"{SEED} faults")
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    count = 0
    async with asyncio.TaskGroup() as faults:
        while loop.time() < end:
            await asyncio.sleep(chance.random() * 1.5)
            count += 1
            node = chance.choice(here.nodes)
            fault = chance.choices(FAULTS, (1, 5, 8, 4, 4, 8))[0]
            which = chance.randrange(len(here.servers))
            network = node.networks[which]
            crowd.fault(f"{fault} {here.nodes.index(node)}, Redis {which}")
            match fault:
                case "flush":
                    async with Redis(port=here.servers[which].port) as redis:
                        await redis.flushall()
                case "cut":
                    await network.cut()
                case "abandoned":
                    faults.create_task(_stall(network, chance.random() * 2, new=False))
                case way:
                    faults.create_task(_stall(network, chance.random() * 3, *WAYS[way]))
    return count


async def _stall(network: Proxy, seconds: float, *ways: Way, new: bool = True) -> None:
    network.stall(*ways, new=new)
    await asyncio.sleep(seconds)
    network.resume_forwarding()


@pytest.mark.long
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [1, 2], ids=["one Redis", "two Redis"])
async def test_never_more_than_two_are_in_a_room_and_in_the_end_both_name_each_other(
    count: int,
) -> None:
    nodes = party(settle_seconds=SETTLE_SECONDS)
    if count > 1:
        nodes = sharded_party([("a", "b")] * NODES, settle_seconds=SETTLE_SECONDS)
    async with nodes as here:
        pulse = Pulse()
        crowd = Crowd(here, pulse)
        async with asyncio.TaskGroup() as clients_at_once:
            clients = [clients_at_once.create_task(crowd.come_and_go(n)) for n in range(CLIENTS)]
            clients.append(clients_at_once.create_task(pulse.beat()))
            faults = await break_it(here, crowd, SECONDS)
            async with within(READY_SECONDS):
                await until(lambda: all(map(crowd.served_by, here.nodes)))
            # So that some rooms were joined after the last fault.
            await asyncio.sleep(3)
            crowd.over.set()
            try:
                async with within(AGREED_SECONDS):
                    await until(crowd.agrees)
            except (AssertionError, TimeoutError):
                pytest.fail(f"STORM_SEED={SEED}: {crowd.inside} {crowd.peers}")
            for client in clients:
                client.cancel()
        for room, inside in crowd.inside.items():
            # No seat may be taken without a guest that has it.
            assert await _free_seats(here, room) == 2 - len(inside), f"STORM_SEED={SEED}"
        print(f"seed {SEED}: {crowd.entered} entered, {faults} faults")
        assert crowd.entered > SECONDS


async def _free_seats(here: Party, room: str) -> int:
    """How many more users can join."""
    count = 0
    while count <= 2:
        stranger = here.guest(f"stranger-{count}", count, room)
        stranger.enter(create=True)
        if not isinstance(await stranger.told(), Joined):
            break
        count += 1
    return count
