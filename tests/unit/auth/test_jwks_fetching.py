"""When keys are fetched from a URL, and what happens while the fetch fails."""

import asyncio
import logging
import re
from typing import Any

import pytest
from dyad_server.auth import bounds
from dyad_server.auth.jwks import Jwks
from dyad_server.auth.verifier import Verifier
from dyad_server.errors import Unauthenticated, Unavailable
from dyad_server.ops.clock import LoopClock

from tests.support.fake_clock import FakeClock
from tests.support.issuer import Issuer
from tests.support.until import PATIENCE, until
from tests.unit.auth.conftest import NEW, OLD


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, clock: FakeClock, verifier: Verifier
) -> None:
    await verifier.verify(OLD.token())
    issuer.show(OLD, NEW)
    assert (await verifier.verify(NEW.token("bob"))).identity.user_id == "bob"
    assert (await verifier.verify(OLD.token())).identity.user_id == "alice"
    assert issuer.asked == 2


async def test_unknown_kids_cause_five_fetches_and_then_one_every_ten_seconds(
    issuer: Issuer, clock: FakeClock, verifier: Verifier
) -> None:
    async def refuse(n: int) -> None:
        with pytest.raises(Unauthenticated):
            await verifier.verify(OLD.token(headers={"kid": f"unknown {n}"}))

    for _ in range(9):
        await asyncio.gather(*(refuse(n) for n in range(50)))
    assert issuer.asked == bounds.UNKNOWN_AT_ONCE == 5
    clock.now += 9.9
    await refuse(0)
    assert issuer.asked == 5
    clock.now += 0.2
    for _ in range(9):
        await asyncio.gather(*(refuse(n) for n in range(50)))
    assert issuer.asked == 6


async def test_a_key_published_just_after_a_fetch_is_accepted_at_once(
    issuer: Issuer, keys: Jwks, verifier: Verifier
) -> None:
    await keys.fetch()
    issuer.show(OLD, NEW)
    assert (await verifier.verify(NEW.token())).identity.user_id == "alice"


async def test_unknown_kids_delay_a_new_key_by_at_most_ten_seconds(
    issuer: Issuer, clock: FakeClock, verifier: Verifier
) -> None:
    for n in range(20):
        with pytest.raises(Unauthenticated):
            await verifier.verify(OLD.token(headers={"kid": f"unknown {n}"}))
    issuer.show(OLD, NEW)
    clock.now += 10.1
    assert (await verifier.verify(NEW.token())).identity.user_id == "alice"


async def test_concurrent_requests_share_a_fetch_and_others_do_not_wait(
    issuer: Issuer, clock: FakeClock, verifier: Verifier
) -> None:
    await verifier.verify(OLD.token())
    issuer.show(OLD, NEW)
    issuer.open.clear()
    waiting = [asyncio.create_task(verifier.verify(NEW.token(str(n)))) for n in range(20)]
    await until(lambda: issuer.asked == 2)
    # Meanwhile the loop runs, and tokens of known keys are verified.
    assert (await verifier.verify(OLD.token("carol"))).identity.user_id == "carol"
    assert not any(task.done() for task in waiting)
    waiting.pop().cancel()
    issuer.open.set()
    assert [who.identity.user_id for who in await asyncio.gather(*waiting)] == [
        str(n) for n in range(19)
    ]
    assert issuer.asked == 2


async def test_while_the_url_is_out_of_reach_the_keys_stay_valid_for_an_hour(
    issuer: Issuer, clock: FakeClock, keys: Jwks, verifier: Verifier
) -> None:
    token = OLD.token()
    await verifier.verify(token)
    issuer.status = 503
    fetched = clock.now
    for clock.now in (fetched + 300, fetched + 1800, fetched + bounds.KEYS_KEPT_SECONDS):
        await keys.fetch()
        assert (await verifier.verify(token)).identity.user_id == "alice"
        assert (await verifier.verify(OLD.token("bob"))).identity.user_id == "bob"
    assert issuer.asked == 4
    clock.now = fetched + bounds.KEYS_KEPT_SECONDS + 0.01
    for one in (token, OLD.token("bob")):
        with pytest.raises(Unavailable) as ended:
            await verifier.verify(one)
        assert str(ended.value).endswith(".")
    issuer.status = 200
    assert (await verifier.verify(token)).identity.user_id == "alice"


async def test_an_unknown_kid_is_unavailable_while_the_url_is_out_of_reach(
    issuer: Issuer, clock: FakeClock, verifier: Verifier
) -> None:
    await verifier.verify(OLD.token())
    issuer.status = 503
    for _ in range(9):
        with pytest.raises(Unavailable):
            await verifier.verify(NEW.token())
    assert issuer.asked == 1 + 4


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": 500}, "status"),
        ({"status": 302, "headers": {"Location": "/keys"}}, "status"),
        ({"status": 204}, "status"),
        ({"body": b""}, "JSON"),
        ({"body": b"<html>"}, "JSON"),
        ({"body": b"\xff"}, "decode"),
        ({"body": b"[]"}, "JWK Set"),
        ({"body": b"{}"}, "JWK Set"),
        ({"body": b"null"}, "JWK Set"),
        ({"body": b'{"keys":{}}'}, "no usable key"),
        ({"body": b'{"keys":[]}'}, "no usable key"),
        ({"body": b'{"keys":[null,7,"x",[],{}]}'}, "no usable key"),
        ({"body": b'{"keys":' + b"[" * 100_000}, "JWK Set"),
        ({"body": b" " * (256 * 1024 + 1)}, "longer"),
        ({"headers": {"Content-Length": "9999"}}, "IncompleteRead|JSON"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "."),
    ],
)
async def test_an_unusable_answer_counts_as_out_of_reach_and_is_logged(
    changes: dict[str, Any], why: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Jwks(issuer.url, LoopClock())
    for name, value in changes.items():
        setattr(issuer, name, value)
    if issuer.headers.get("Content-Length"):
        issuer.body = issuer.body[:-9]
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        await Verifier(keys, LoopClock()).verify(OLD.token())
    assert not keys.ready.is_set()
    (line,) = caplog.messages
    assert line.startswith("keys not fetched reason=")
    assert len(line) < 300
    assert re.search(why, line)


@pytest.mark.parametrize(
    ("slow", "at_once"), [("nothing comes", 0), ("the head", 5), ("the body", 60)]
)
async def test_a_slow_answer_is_abandoned_after_the_timeout(
    slow: str, at_once: int, issuer: Issuer, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Jwks(issuer.url, clock, timeout=1)
    verifier = Verifier(keys, LoopClock())
    if slow == "nothing comes":
        issuer.open.clear()
    issuer.pause, issuer.pause_from = 0.05, at_once
    for asked in (1, 2):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Unavailable):
                await verifier.verify(OLD.token())
            # The fetch must end by itself: only then can another one start.
            await asyncio.wait({keys.fetch()})
        assert issuer.asked >= asked
    # Not what is wrong with the part of the answer that has come.
    assert caplog.messages
    assert all(" reason=TimeoutError " in line for line in caplog.messages), caplog.messages
    issuer.open.set()
    issuer.pause = 0.0
    keys = Jwks(issuer.url, clock)
    verifier = Verifier(keys, LoopClock())
    assert (await verifier.verify(OLD.token())).identity.user_id == "alice"


async def test_the_first_good_answer_makes_the_keys_ready(
    issuer: Issuer, clock: FakeClock, keys: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "KEYS_RETRY_SECONDS", 0.01)
    issuer.status = 503
    keeping = asyncio.create_task(keys.keep())
    await until(lambda: issuer.asked == 1)
    assert not keys.ready.is_set()
    issuer.status = 200
    clock.now += 1
    async with asyncio.timeout(PATIENCE):
        await keys.ready.wait()
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_keys_are_fetched_periodically_without_requests(
    issuer: Issuer, keys: Jwks, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "KEYS_RENEW_SECONDS", 0.01)
    keeping = asyncio.create_task(keys.keep())
    await until(lambda: issuer.asked >= 3)
    keeping.cancel()
    await asyncio.wait({keeping})
