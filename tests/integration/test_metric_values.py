"""What the metrics and the log say about calls, and the page that explains the metrics."""

import logging
import re
from pathlib import Path

import grpc
import pytest
from dyad.v1 import signaling_pb2 as pb
from dyad_server.engines.redis import bounds
from dyad_server.errors import Reason
from dyad_server.server import Server

from tests.conftest import ends, serving
from tests.support.certificates import certificate
from tests.support.ends import End, ListenEnd, SignalEnd, end_of, join, leave, offer, pair
from tests.support.issuer import es256, issuing
from tests.support.mounted import Mounted
from tests.support.needs import ROOT, needs
from tests.support.redis import redis_server, settled_redis
from tests.support.until import PATIENCE, until

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

        for reason in Reason:
            if reason.startswith("token_"):
                forbidden = reason is Reason.TOKEN_ROOM
                status = "PERMISSION_DENIED" if forbidden else "UNAUTHENTICATED"
                labels = {"status": status, "reason": str(reason)}
                page = server.dyad.metrics.registry
                assert page.get_sample_value("dyad_requests_refused_total", labels) == 0
        await end_of(connect("alice", ttl=-60))
        assert refused("UNAUTHENTICATED", Reason.TOKEN_EXPIRED) == 1
        first = connect("bob")
        await first.send(join())
        room = (await first.hear()).room_id
        await end_of(connect("bob"))
        assert refused("RESOURCE_EXHAUSTED", Reason.USER_STREAMS) == 1
        await end_of(first, *[offer(room) for _ in range(20)])
        assert ended(server, Reason.RATE, transport, "RESOURCE_EXHAUSTED") == 1


@pytest.mark.parametrize("grpc_api", ["auto", "aio"])
async def test_a_client_knows_the_id_of_its_stream_in_the_log(
    transport: type[End], grpc_api: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dyad")
    async with serving(grpc_api=grpc_api) as server, ends(server, transport) as connect:
        alice, bob = connect("alice"), connect("bob", room="another")
        await alice.send(join())
        await alice.hear()
        # On Signal, it ends without a single message.
        await end_of(bob, join())
        told = [dict(await end.call.initial_metadata()) for end in (alice, bob)]
        alice.cut()
        await until(lambda: caplog.text.count("stream ended ") == 2)
    logged = re.findall(r"stream ended stream=([0-9a-f]{16}) ", caplog.text)
    assert sorted(logged) == sorted(each["dyad-stream-id"] for each in told)


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


async def test_the_page_has_each_metric_and_each_reason(tmp_path: Path) -> None:
    made = certificate(tmp_path, "a")
    pair = {"tls_cert": made.cert, "tls_key": made.key}
    async with settled_redis() as redis:
        with issuing(es256("key")) as issuer:
            keys = {"jwt_secret": "", "jwt_jwks_url": issuer.url}
            async with serving(**keys, **pair, redis=redis.url) as server:
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


async def test_an_outage_of_redis_and_its_loss_of_data_are_counted_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needs("redis-server")
    caplog.set_level(logging.INFO, "dyad")
    monkeypatch.setattr(bounds, "LEASE_SECONDS", 2.0)
    async with redis_server() as redis, serving(redis=redis.url) as server:
        assert value(server, "dyad_redis_up") == 1
        assert value(server, "dyad_redis_generations_total") == 1
        assert value(server, "dyad_lease_held") == 1
        await until(lambda: value(server, "dyad_inbox_seconds_count") > 0)
        assert value(server, "dyad_lease_renewal_seconds_count") > 0
        assert value(server, "dyad_node_messages_in_total", kind="Probe") > 0
        await redis.end()
        await until(lambda: value(server, "dyad_leases_lost_total") == 1)
        assert value(server, "dyad_redis_up") == value(server, "dyad_lease_held") == 0
        assert value(server, "dyad_redis_outages_total") == 1
        async with redis_server(port=redis.port):
            await until(lambda: value(server, "dyad_lease_held") == 1)
            assert value(server, "dyad_redis_up") == 1
            assert value(server, "dyad_redis_generations_total") == 2
            assert value(server, "dyad_leases_lost_total") == 1
    told = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in told if " lost" in line and "lost=" not in line] == [
        "lease lost",
        "redis has lost its data",
    ]
    assert [line for line in told if re.fullmatch(r"lease regained seconds=\d+\.\d", line)]


async def test_a_hang_up_is_not_counted_as_a_lost_call_while_redis_frees_the_seat() -> None:
    async with (
        settled_redis() as redis,
        serving(redis=redis.url) as server,
        ends(server, SignalEnd) as connect,
    ):
        alice = connect("alice")
        await alice.send(pb.Frame(seq=1, join_room=pb.JoinRoom(resumable=True)))
        room = (await alice.hear()).room_id
        await alice.send(leave(room, seq=2))
        await alice.call.done_writing()
        assert await alice.status() is None
        assert ended(server, Reason.CLOSED, SignalEnd) == 1
        assert ended(server, Reason.LOST, SignalEnd) == 0
        assert value(server, "dyad_seats_reserved_total") == 0


async def test_questions_to_other_nodes_are_counted_by_whether_they_were_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "SEND_SECONDS", 0.1)
    async with (
        settled_redis() as redis,
        serving(redis=redis.url) as server,
        ends(server, ListenEnd) as connect,
    ):
        alice = connect("alice")
        assert isinstance(alice, ListenEnd)
        await alice.send(join())
        # There is no such node.
        alice.session_id = "f" * 16 + alice.session_id[16:]
        with pytest.raises(grpc.aio.AioRpcError):
            await alice.send(offer(""))
        labels = {"kind": "ForwardedSend", "outcome": "late"}
        assert value(server, "dyad_node_questions_total", **labels) == 1


async def test_what_comes_of_changed_files_is_counted(tmp_path: Path) -> None:
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second", seconds=9999)
    tls = Mounted(tmp_path / "tls")
    tls.update(dict(zip(("key", "cert"), first.read(), strict=True)))
    async with serving(tls_cert=f"{tls}/cert", tls_key=f"{tls}/key") as server:

        def reloads(outcome: str) -> float:
            return value(server, "dyad_reloads_total", files="certificate", outcome=outcome)

        expires = value(server, "dyad_certificate_expiry_timestamp_seconds")
        tls.update({"key": first.read()[0], "cert": b"no certificate"})
        server.reload()
        await until(lambda: reloads("refused") == 1)
        assert value(server, "dyad_reload_refused", files="certificate") == 1
        assert value(server, "dyad_certificate_expiry_timestamp_seconds") == expires
        tls.update(dict(zip(("key", "cert"), second.read(), strict=True)))
        server.reload()
        await until(lambda: reloads("done") == 1)
        assert value(server, "dyad_reload_refused", files="certificate") == 0
        assert 0 < value(server, "dyad_certificate_expiry_timestamp_seconds") < expires


async def test_fetches_of_keys_are_counted_by_outcome() -> None:
    with issuing(es256("key")) as issuer:
        async with serving(jwt_secret="", jwt_jwks_url=issuer.url) as server:
            await until(lambda: value(server, "dyad_jwks_fetches_total", outcome="done") == 1)
            assert value(server, "dyad_jwks_age_seconds") < PATIENCE
            issuer.status = 500
            server.reload()
            await until(lambda: value(server, "dyad_jwks_fetches_total", outcome="failed") == 1)


async def test_a_server_without_redis_urls_and_certificates_has_none_of_their_metrics() -> None:
    async with serving() as server:
        names = {family.name for family in server.dyad.metrics.registry.collect()}
        settings = server.dyad.metrics.registry
        assert settings.get_sample_value("dyad_setting", {"name": "max_streams"}) == 10_000
    absent = ("dyad_redis", "dyad_lease", "dyad_inbox", "dyad_node_", "dyad_jwks", "dyad_cert")
    assert not [name for name in names if name.startswith(absent)]


async def test_a_seat_that_nobody_resumes_is_counted_once() -> None:
    async with serving(resume_grace=0.1) as server, ends(server, SignalEnd) as connect:
        alice = connect("alice")
        await alice.send(pb.Frame(seq=1, join_room=pb.JoinRoom(resumable=True)))
        await alice.hear()
        alice.cut()
        await until(lambda: value(server, "dyad_seats_expired_total") == 1)
        assert value(server, "dyad_participants") == 0


def test_no_label_has_more_values_than_the_server_gives_it() -> None:
    # A user controls none of these words.
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in Reason)
    assert len({code.name for code in grpc.StatusCode}) < 20
