"""The verifier: its times, keys, audiences, metadata and cache."""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dyad_server.auth import bounds
from dyad_server.auth.keys import public_key, secret_key
from dyad_server.auth.mint import mint
from dyad_server.auth.verifier import Verifier
from dyad_server.core.commands import Identity
from dyad_server.errors import ConfigError, Unauthenticated
from dyad_server.ops.clock import LoopClock

from tests.support.fake_clock import FakeClock
from tests.support.issuer import SigningKey, eddsa, es256, rs256, spelled
from tests.support.keys import only
from tests.unit.auth.tokens import (
    GOOD,
    KEYS,
    SECRET,
    pem,
    signed,
    verifier,
)


@pytest.mark.parametrize(
    ("claim", "seconds", "said"),
    [
        ("exp", -27, ""),
        ("exp", -31, "has expired"),
        ("nbf", 29, ""),
        ("nbf", 33, "not valid yet"),
        ("iat", 29, ""),
        ("iat", 33, "not valid yet"),
    ],
)
async def test_times_have_thirty_seconds_leeway(claim: str, seconds: int, said: str) -> None:
    token = signed(**{claim: int(time.time()) + seconds})
    if not said:
        assert (await verifier().verify(token)).identity.user_id == "alice"
        return
    with pytest.raises(Unauthenticated, match=said):
        await verifier().verify(token)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_secret_verifies_every_hmac_algorithm(algorithm: str) -> None:
    token = jwt.encode(GOOD, SECRET, algorithm=algorithm)
    assert (await verifier().verify(token)).identity == Identity("alice", "a@x")


@pytest.mark.parametrize("of", KEYS)
async def test_a_public_key_verifies_its_own_tokens_and_no_others(of: str) -> None:
    checks = Verifier(only(public_key(pem(KEYS[of]))), LoopClock())
    assert (await checks.verify(KEYS[of].token())).identity.user_id == "alice"
    others = [key for algorithm, key in KEYS.items() if algorithm != of]
    same_kind = {"RS256": rs256, "ES256": es256, "EdDSA": eddsa}[of]()
    for token in [*(key.token() for key in [*others, same_kind]), signed()]:
        with pytest.raises(Unauthenticated):
            await checks.verify(token)


@pytest.mark.parametrize("of", KEYS)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "RS256", "ES256", "EdDSA"])
async def test_a_public_key_is_refused_as_a_secret(of: str, alg: str) -> None:
    public = KEYS[of].private.public_key()
    checks = Verifier(only(public_key(pem(KEYS[of]))), LoopClock())
    for secret in (
        pem(KEYS[of]).encode(),
        pem(KEYS[of]).strip().encode(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(KEYS[of].jwk()).encode(),
    ):
        with pytest.raises(Unauthenticated):
            await checks.verify(spelled({"alg": alg}, GOOD, secret))


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256"])
async def test_an_rsa_key_verifies_rs256_only(alg: str) -> None:
    checks = Verifier(only(public_key(pem(KEYS["RS256"]))), LoopClock())
    with pytest.raises(Unauthenticated):
        await checks.verify(jwt.encode(GOOD, KEYS["RS256"].private, algorithm=alg))


async def test_a_cached_token_still_expires() -> None:
    clock = FakeClock()
    clock.now = time.time()
    checks = Verifier(only(secret_key(SECRET)), clock)
    await checks.verify(signed())
    clock.advance(2 * 24 * 3600)
    with pytest.raises(Unauthenticated, match="expired"):
        await checks.verify(signed())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that the JWT library has decoded."""
    tokens: list[str] = []
    decode = jwt.decode

    def decode_and_note(token: str, *arguments: Any, **options: Any) -> Any:
        tokens.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", decode_and_note)
    return tokens


async def test_the_cache_of_verified_tokens_is_bounded(
    decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "CACHED_TOKENS", 2)
    checks = verifier()
    alice, bob, carol = (signed(sub=who) for who in ("alice", "bob", "carol"))
    for token in (alice, bob, carol, carol, alice):
        await checks.verify(token)
    assert decoded == [alice, bob, carol, alice]


@pytest.mark.parametrize("of", ["HS256", *KEYS])
async def test_a_token_with_a_wrong_signature_is_refused_before_the_library_decodes_it(
    of: str, decoded: list[str]
) -> None:
    if of == "HS256":
        key, token, other = only(secret_key(SECRET)), signed(), signed(sub="bob")
    else:
        key, token = only(public_key(pem(KEYS[of]))), KEYS[of].token()
        other = KEYS[of].token("bob")
    forged = ".".join([*token.split(".")[:2], other.split(".")[2]])
    with pytest.raises(Unauthenticated, match="signature"):
        await Verifier(key, LoopClock()).verify(forged)
    assert decoded == []
    await Verifier(key, LoopClock()).verify(token)
    assert decoded == [token]


async def test_a_token_encoded_differently_is_refused_or_names_the_same_user() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token, checks = signed(), verifier()
    # The last letter of a 32-byte signature stands for four bits, and two that are ignored.
    last = alphabet.index(token[-1])
    for letter in alphabet[last & ~3 : (last & ~3) + 4]:
        if letter != token[-1]:
            with pytest.raises(Unauthenticated):
                await checks.verify(token[:-1] + letter)
    # Some issuers pad the signature.
    padded = await checks.verify(token + "=")
    assert padded.identity == (await checks.verify(token)).identity


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"iss": "app", "aud": "dyad"}, True),
        ({"iss": "app", "aud": ["x", "dyad"]}, True),
        ({"iss": "other", "aud": "dyad"}, False),
        ({"iss": "app", "aud": "other"}, False),
        ({"iss": "app", "aud": "dyad2"}, False),
        ({"iss": "app", "aud": ["other"]}, False),
        ({"iss": "app", "aud": []}, False),
        ({"iss": "app", "aud": ["dyad", 7]}, False),
        ({"iss": "app", "aud": {"dyad": 1}}, False),
        ({"iss": "app", "aud": 7}, False),
        ({"iss": "app", "aud": None}, False),
        ({"iss": ["app"], "aud": "dyad"}, False),
        ({"iss": {"app": 1}, "aud": "dyad"}, False),
        ({"iss": None, "aud": "dyad"}, False),
        ({"iss": "ap", "aud": "dyad"}, False),
        ({"iss": "", "aud": "dyad"}, False),
        ({"iss": "app"}, False),
        ({"aud": "dyad"}, False),
    ],
)
async def test_issuer_and_audience_are_checked_if_configured(
    changes: dict[str, Any], *, holds: bool
) -> None:
    checks = verifier(issuer="app", audience="dyad")
    if holds:
        assert (await checks.verify(signed(**changes))).identity.user_id == "alice"
    else:
        with pytest.raises(Unauthenticated):
            await checks.verify(signed(**changes))


async def test_any_audience_is_accepted_if_none_is_configured() -> None:
    token = signed(aud="x", iss=["y"], room="r")
    assert (await verifier().verify(token)).identity == Identity("alice", "a@x", "r")


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [f"Bearer  {signed()}"],
        [f"Bearer {signed()} "],
        [f"Bearer\t{signed()}"],
        [signed()],
        [f"Basic {signed()}"],
        [f"Bearer={signed()}"],
        [f"Token {signed()}"],
        [f"Bearer Bearer {signed()}"],
        [f"Bearer {signed()}, Bearer {signed()}"],
        [f"Bearer {signed()}", f"Bearer {signed()}"],
        [f"Bearer {signed()}", ""],
        ["", f"Bearer {signed()}"],
        [b"Bearer \xff"],
    ],
)
async def test_anything_but_one_bearer_token_is_refused(
    values: list[str | bytes],
) -> None:
    metadata = [("authorization", value) for value in values]
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify_metadata(metadata)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "name", ["x-authorization", "authorization-bin", "token", "cookie", "proxy-authorization", ""]
)
async def test_a_token_outside_the_authorization_header_is_ignored(name: str) -> None:
    value = f"Bearer {signed()}"
    metadata = [(name, value.encode() if name.endswith("-bin") else value)]
    with pytest.raises(Unauthenticated, match="There is no token"):
        await verifier().verify_metadata(metadata)


async def test_the_scheme_is_read_in_any_case() -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        metadata = [("authorization", f"{scheme} {signed()}")]
        assert (await verifier().verify_metadata(metadata)).identity.user_id == "alice"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "x" * 31,
        pem(KEYS["ES256"]),
        pem(KEYS["ES256"]).replace("\n", ""),
        json.dumps(KEYS["ES256"].jwk()),
        f"ssh-ed25519 {'A' * 40}",
    ],
    ids=["empty", "short", "31 bytes", "PEM", "PEM in a line", "JWK", "SSH"],
)
def test_an_unusable_secret_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(ConfigError):
        secret_key(secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        pem(rs256(bits=1024)),
        pem(SigningKey(None, ec.generate_private_key(ec.SECP384R1()), "ES384")),
    ],
    ids=["empty", "nonsense", "RSA 1024", "P-384"],
)
def test_an_unusable_public_key_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ConfigError):
        public_key(text)


async def test_a_minted_token_is_good() -> None:
    token = mint(SECRET, sub="alice", email="a@x", ttl=60, room="r")
    assert (await verifier().verify(token)).identity == Identity("alice", "a@x", "r")
