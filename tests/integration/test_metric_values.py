"""What the metrics and the log say about calls, and the page that explains the metrics."""

import logging
import re

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.errors import Reason
from dyad_server.server import Server

from tests.conftest import SECRET, ends, serving
from tests.support.ends import End, end_of, join, leave, offer, pair
from tests.support.needs import ROOT
from tests.support.until import until

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
_EVERY = ("python_", "process_")


def value(server: Server, name: str, **labels: str) -> float:
    return server.dyad.metrics.registry.get_sample_value(name, labels) or 0.0


def ended(server: Server, reason: Reason, transport: type[End], status: str = "none") -> float:
    name = "Signal" if transport.__name__ == "SignalEnd" else "Listen"
    labels = {"transport": name, "status": status, "reason": str(reason)}
    return value(server, "dyad_streams_ended_total", **labels)


async def test_a_call_is_counted_from_its_joins_to_its_hang_up(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room = await pair(connect)
        assert value(server, "dyad_seats", state="paired") == 2
        assert value(server, "dyad_joins_total", outcome="first") == 1
        assert value(server, "dyad_joins_total", outcome="second") == 1
        assert value(server, "dyad_peer_wait_seconds_count") == 1
        await alice.send(offer(room))
        await bob.hear()
        assert value(server, "dyad_frames_in_total", event="offer") == 1
        assert value(server, "dyad_bytes_in_total", event="offer") > 0
        assert value(server, "dyad_events_total", kind="Forwarded") == 1
        await until(lambda: value(server, "dyad_delivery_seconds_count") > 0)
        for end in (alice, bob):
            await end.send(leave(room))
            while (await end.hear()).WhichOneof("event") != "leave_room":
                pass
            end.cut()
        await until(lambda: ended(server, Reason.CLOSED, transport) == 2)
        assert ended(server, Reason.LOST, transport) == 0


async def test_a_lost_call_is_not_counted_as_a_hang_up(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice, _, _ = await pair(connect)
        alice.cut()
        await until(lambda: ended(server, Reason.LOST, transport) == 1)
        assert ended(server, Reason.CLOSED, transport) == 0
        await until(lambda: value(server, "dyad_seats", state="alone") == 1)


async def test_a_reserved_seat_is_counted_apart_and_its_resume_too(transport: type[End]) -> None:
    async with serving() as server, ends(server, transport) as connect:
        alice = connect("alice")
        await alice.send(pb.Frame(seq=1, join_room=pb.JoinRoom(resumable=True)))
        joined = await alice.hear()
        alice.cut()
        await until(lambda: value(server, "dyad_seats", state="reserved") == 1)
        assert value(server, "dyad_seats_reserved_total") == 1
        asked = pb.JoinRoom(resumable=True, resume_token=joined.join_room.resume_token)
        again = connect("alice")
        await again.send(pb.Frame(room_id=joined.room_id, join_room=asked))
        assert (await again.hear()).join_room.resumed
        assert value(server, "dyad_seats_resumed_total") == 1
        assert value(server, "dyad_seats", state="alone") == 1
        asked.resume_token = "no such token"
        await end_of(connect("carol"), pb.Frame(room_id=joined.room_id, join_room=asked))
        assert value(server, "dyad_resumes_refused_total", reason="seat_gone") == 1


async def test_refusals_are_counted_by_reason(transport: type[End]) -> None:
    async with (
        serving(max_streams_per_user=1, max_frames_per_second=1) as server,
        ends(server, transport) as connect,
    ):

        def refused(status: str, reason: Reason) -> float:
            labels = {"status": status, "reason": str(reason)}
            return value(server, "dyad_requests_refused_total", **labels)

        await end_of(connect("alice", ttl=-60))
        assert refused("UNAUTHENTICATED", Reason.TOKEN_EXPIRED) == 1
        first = connect("bob")
        await first.send(join())
        room = (await first.hear()).room_id
        await end_of(connect("bob"))
        assert refused("RESOURCE_EXHAUSTED", Reason.USER_STREAMS) == 1
        await end_of(first, *[offer(room) for _ in range(20)])
        assert ended(server, Reason.RATE, transport, "RESOURCE_EXHAUSTED") == 1


async def test_the_log_has_one_line_for_each_stream_that_ends(
    transport: type[End], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dyad")
    async with serving() as server, ends(server, transport) as connect:
        alice, bob, room = await pair(connect)
        await alice.send(offer(room))
        await bob.hear()
        for end in (alice, bob):
            end.cut()
        await until(lambda: caplog.text.count("stream ended ") == 2)
    lines = [record.message for record in caplog.records if "stream ended" in record.message]
    told = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines]
    assert {line["reason"] for line in told} == {"lost"}
    assert len({line["room"] for line in told}) == 1
    assert len({line["user"] for line in told}) == 2
    assert sorted(int(line["frames_in"]) for line in told) == [1, 2]
    assert "alice" not in "".join(lines)
    assert room not in "".join(lines)


async def test_the_page_has_each_metric_and_each_reason() -> None:
    async with serving(jwt_secret=SECRET) as server:
        families = [
            family
            for family in server.dyad.metrics.registry.collect()
            if not family.name.startswith(_EVERY)
        ]
    row = r"^\| `(dyad_\w+)` \| (\w+) \|([^|]*)\| .+ \| \d+\.\d+\.\d+ \|$"
    rows = re.findall(row, PAGE, re.MULTILINE)
    labels = {name: set(re.findall(r"`(\w+)`", text)) for name, _, text in rows}
    assert {name for name, _, _ in rows} == {family.name for family in families}
    assert {name: kind for name, kind, _ in rows} == {one.name: one.type for one in families}
    for family in families:
        seen = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert seen <= labels[family.name], family.name
    reasons = PAGE.partition("## Reasons")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", reasons, re.MULTILINE)) == set(Reason)


def test_no_label_has_more_values_than_the_server_gives_it() -> None:
    # A user controls none of these words.
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in Reason)
    assert len({code.name for code in grpc.StatusCode}) < 20
