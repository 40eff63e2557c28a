"""Several keys at once: by `kid` or in turn, with an end date, replaced while in use."""

import secrets

import pytest
from dyad_server.auth import bounds
from dyad_server.auth.key_ring import KeyRing, NamedKey, public_keys, secret_keys
from dyad_server.auth.keys import public_key, secret_key
from dyad_server.auth.mint import mint
from dyad_server.auth.verifier import Verifier
from dyad_server.errors import ConfigError, Unauthenticated
from dyad_server.ops.clock import LoopClock

from tests.support.fake_clock import FakeClock
from tests.unit.auth.tokens import KEYS, pem

OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)
DECEMBER = 1796083200.0
"""2026-12-01T00:00:00Z"""


def ring(texts: dict[str, str]) -> KeyRing:
    return KeyRing(LoopClock(), secret_keys(texts))


def token(secret: str, kid: str = "", sub: str = "alice") -> str:
    return mint(secret, sub=sub, email="", ttl=600, kid=kid)


async def accepted(keys: KeyRing, text: str) -> bool:
    try:
        await Verifier(keys, LoopClock()).verify(text)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\n"])
async def test_each_line_is_a_secret_and_a_token_of_any_is_accepted(between: str) -> None:
    keys = ring({"": between.join([OLD, NEW])})
    assert [await accepted(keys, token(secret)) for secret in (OLD, NEW)] == [True, True]
    assert not await accepted(keys, token(secrets.token_hex(32)))


@pytest.mark.parametrize("before", ["", "the old key and the new one\n"])
async def test_each_pem_block_is_a_key_and_a_token_of_any_is_accepted(before: str) -> None:
    texts = {"": before + "".join(pem(key) for key in KEYS.values())}
    keys = KeyRing(LoopClock(), public_keys(texts))
    for key in KEYS.values():
        assert await accepted(keys, key.token())


@pytest.mark.parametrize("kid", ["", "new", "unknown"])
async def test_a_kid_that_names_no_key_or_the_right_key_is_accepted(kid: str) -> None:
    assert await accepted(ring({"old": OLD, "new.pem": NEW}), token(NEW, kid))


async def test_a_kid_selects_its_key_and_no_other_is_tried() -> None:
    assert not await accepted(ring({"old": OLD, "new": NEW}), token(NEW, "old"))


async def test_the_extension_pem_is_no_part_of_a_kid() -> None:
    (key,) = public_keys({"2026.11.pem": pem(KEYS["RS256"])})
    assert key.kid == "2026.11"


@pytest.mark.parametrize(
    "text",
    ["2026-12-01", "2026-12-01T00:00:00Z", "2026-12-01T00:00Z", "2026-12-01T05:30:00+05:30"],
)
def test_an_end_date_may_be_written_in_several_ways(text: str) -> None:
    (key,) = secret_keys({"old": OLD, "old.until": text})
    assert key == NamedKey(OLD.encode(), "old", DECEMBER)


@pytest.mark.parametrize("kid", ["", "old"])
async def test_a_key_with_an_end_date_is_refused_from_then_on(kid: str) -> None:
    clock = FakeClock()
    end = clock.unix_time() + 60
    keys = KeyRing(
        clock, [NamedKey(OLD.encode(), "old", end), NamedKey(NEW.encode(), "new", end + 60)]
    )
    verifier = Verifier(keys, LoopClock())
    text = token(OLD, kid)
    await verifier.verify(text)
    clock.advance(59)
    await verifier.verify(text)
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)
    assert (await verifier.verify(text, stale=True)).stale
    await verifier.verify(token(NEW, "new"))
    usable = [keys.usable]
    clock.advance(60)
    assert [*usable, keys.usable] == [True, False]
    with pytest.raises(Unauthenticated, match="a key that is no longer accepted"):
        await verifier.verify(token(NEW))


async def test_a_replaced_key_counts_at_once_also_for_tokens_that_were_seen_before() -> None:
    keys = ring({"": OLD})
    verifier = Verifier(keys, LoopClock())
    old, new = token(OLD), token(NEW)
    await verifier.verify(old)
    with pytest.raises(Unauthenticated):
        await verifier.verify(new)
    keys.replace(secret_keys({"": f"{OLD}\n{NEW}"}))
    await verifier.verify(old)
    await verifier.verify(new)
    keys.replace(secret_keys({"": NEW}))
    with pytest.raises(Unauthenticated):
        await verifier.verify(old)
    await verifier.verify(new)


async def test_no_key_serves_another_family_of_algorithms() -> None:
    keys = KeyRing(
        LoopClock(),
        [NamedKey(secret_key(NEW)), NamedKey(public_key(pem(KEYS["RS256"])))],
    )
    assert len(await keys.find(None, "HS256")) == 1
    with pytest.raises(Unauthenticated, match="not for the token's algorithm"):
        await keys.find(None, "ES256")
    with pytest.raises(Unauthenticated, match="not for the token's algorithm"):
        await keys.find(None, "none")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"": f"{OLD}\nshort"}, "has 5 bytes"),
        ({"": f"{OLD}\n {NEW}"}, "white space"),
        ({"": f"{OLD}\tx"}, "control characters"),
        ({"": "\n".join([OLD] * (bounds.KEYS_AT_ONCE + 1))}, "more than 16 keys"),
        ({"old": "short"}, "old: The JWT secret has 5 bytes"),
        ({"old": f"{OLD}\n{NEW}"}, "old holds more than one key"),
        ({"old": OLD, "old.until": "soon"}, "old.until holds no time"),
        ({"old": OLD, "old.until": "2026-12-01T00:00:00"}, "or no time zone"),
        ({"old": OLD, "new.until": "2026-12-01"}, "There is no key for new.until"),
        ({"old": OLD, "old.pem": NEW}, "Two files hold a key named old"),
        ({"old.until": "2026-12-01"}, "There is no key"),
    ],
)
def test_unfit_secrets_are_refused_with_a_sentence_that_quotes_none(
    texts: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        secret_keys(texts)
    assert OLD not in str(refused.value)
    assert NEW not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        pem(KEYS["RS256"])[:-40],
        pem(KEYS["RS256"]) + pem(KEYS["ES256"])[:60],
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
    ],
    ids=["cut", "second cut", "nonsense", "certificate"],
)
def test_a_pem_file_of_which_a_part_is_unfit_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a PEM public key"):
        public_keys({"": text})
