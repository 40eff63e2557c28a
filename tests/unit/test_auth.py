"""Every fault of a token that can be named."""

import base64
import json
import secrets
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from dyad_server.auth import Verifier, mint, public_key, secret_key
from dyad_server.errors import ConfigError, Unauthenticated
from dyad_server.inputs import Identity

SECRET = secrets.token_hex(32)
GOOD: dict[str, Any] = {"sub": "alice", "email": "a@x", "exp": int(time.time()) + 600}


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def signed(**changes: Any) -> str:
    claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def raw(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    return ".".join(part.decode().rstrip("=") for part in parts) + "." + signature


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_checks_its_family(algorithm: str) -> None:
    key = secrets.token_hex(32)
    token = jwt.encode(GOOD, key, algorithm=algorithm)
    assert Verifier(secret_key(key)).verify(token) == Identity("alice", "a@x")


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["RS256", "ES256", "EdDSA"],
)
def test_a_public_key_checks_its_algorithm_and_is_no_secret(private: Any, algorithm: str) -> None:
    verifier = Verifier(public_key(pem(private)))
    assert verifier.verify(jwt.encode(GOOD, private, algorithm=algorithm)).user_id == "alice"
    with pytest.raises(Unauthenticated):
        verifier.verify(signed())
    other = type(private).generate() if hasattr(type(private), "generate") else None
    if other is not None:
        with pytest.raises(Unauthenticated):
            verifier.verify(jwt.encode(GOOD, other, algorithm=algorithm))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "ä.ö.ü",
        "\ud800",
        signed(sub=None),
        signed(exp=None),
        signed(sub=""),
        signed(sub="x" * 257),
        signed(exp=int(time.time()) - 31),
        signed(exp="soon"),
        signed(nbf=int(time.time()) + 10_000),
        signed(email=7),
        signed(room=["a"]),
        signed() + "x",
        signed()[:-4],
        "x" * 6145,
        raw({"alg": "none", "typ": "JWT"}, GOOD),
        raw({"alg": "NONE"}, GOOD),
        raw({"alg": "HS256"}, GOOD),
        raw({"alg": "RS256"}, GOOD, "AAAA"),
        raw({"alg": "HS256", "crit": ["b64"], "b64": False}, GOOD, "AAAA"),
        jwt.encode(GOOD, secrets.token_hex(32), algorithm="HS256"),
    ],
)
def test_a_faulty_token_is_refused_in_a_sentence_that_does_not_quote_it(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        Verifier(secret_key(SECRET)).verify(token)
    assert str(refused.value).endswith(".")
    assert not token or token not in str(refused.value)


def test_times_have_thirty_seconds_leeway() -> None:
    token = signed(exp=int(time.time()) - 20, nbf=int(time.time()) + 20)
    assert Verifier(secret_key(SECRET)).verify(token).user_id == "alice"


def test_a_token_that_held_once_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = Verifier(secret_key(SECRET))
    token = signed()
    verifier.verify(token)
    later = time.time() + 700
    monkeypatch.setattr(time, "time", lambda: later)
    # PyJWT reads the clock through datetime; the cache alone decides here.
    assert not any(later < until for until, _ in verifier._known.values())  # noqa: SLF001 - its end


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({"iss": "app", "aud": "dyad"}, True),
        ({"iss": "app", "aud": ["x", "dyad"]}, True),
        ({"iss": "other", "aud": "dyad"}, False),
        ({"iss": "app", "aud": "other"}, False),
        ({"iss": "app"}, False),
        ({"aud": "dyad"}, False),
    ],
)
def test_issuer_and_audience_are_checked_where_configured(
    changes: dict[str, Any], *, holds: bool
) -> None:
    verifier = Verifier(secret_key(SECRET), issuer="app", audience="dyad")
    if holds:
        assert verifier.verify(signed(**changes)).user_id == "alice"
    else:
        with pytest.raises(Unauthenticated):
            verifier.verify(signed(**changes))


def test_a_token_for_other_audiences_is_taken_where_none_is_configured() -> None:
    assert Verifier(secret_key(SECRET)).verify(signed(aud="x", room="r")) == Identity(
        "alice", "a@x", "r"
    )


@pytest.mark.parametrize(
    "secret", ["", "short", "x" * 31, pem(ec.generate_private_key(ec.SECP256R1()))]
)
def test_an_unfit_secret_is_refused_at_start(secret: str) -> None:
    with pytest.raises(ConfigError):
        secret_key(secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "nonsense", "RSA 1024", "P-384"],
)
def test_an_unfit_public_key_is_refused_at_start(text: str) -> None:
    with pytest.raises(ConfigError):
        public_key(text)


def test_a_minted_token_holds() -> None:
    token = mint(SECRET, sub="alice", email="a@x", ttl=60, room="r")
    assert Verifier(secret_key(SECRET)).verify(token) == Identity("alice", "a@x", "r")
