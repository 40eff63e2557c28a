"""Keys from a URL: which of them are usable, and which of them verifies a token."""

import json
import secrets
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dyad_server.auth.jwks import Jwks, key_set
from dyad_server.auth.verifier import Verifier
from dyad_server.errors import Unauthenticated

from tests.support.fake_clock import FakeClock
from tests.support.issuer import Issuer, SigningKey, eddsa, es256, issuing, rs256, spelled
from tests.unit.auth.conftest import NEW, OLD, OTHER, RSA


@pytest.mark.parametrize("key", [RSA, OLD, OTHER], ids=lambda key: key.algorithm)
async def test_each_type_of_key_verifies_its_tokens(
    key: SigningKey, issuer: Issuer, verifier: Verifier
) -> None:
    issuer.show(RSA, OLD, OTHER)
    assert (await verifier.verify(key.token())).identity.user_id == "alice"


@pytest.mark.parametrize("kid", ["rsa", "old", "other"])
@pytest.mark.parametrize("key", [RSA, OLD, OTHER], ids=lambda key: key.algorithm)
async def test_a_token_is_verified_with_the_key_it_names_and_no_other(
    key: SigningKey, kid: str, issuer: Issuer, verifier: Verifier
) -> None:
    if kid == key.kid:
        return
    issuer.show(RSA, OLD, OTHER)
    with pytest.raises(Unauthenticated, match="not signed with a known key"):
        await verifier.verify(key.token(headers={"kid": kid}))


@pytest.mark.parametrize("algorithm", ["none", "RS512", "PS256", "ES256", "EdDSA"])
async def test_the_algorithm_follows_from_the_key_and_not_from_the_token(
    algorithm: str, issuer: Issuer, verifier: Verifier
) -> None:
    issuer.show(RSA)
    keys = {"none": None, "ES256": OLD.private, "EdDSA": OTHER.private}
    claims = {"sub": "mallory", "exp": 2**40}
    forged = jwt.encode(claims, keys.get(algorithm, RSA.private), algorithm, headers={"kid": "rsa"})
    with pytest.raises(Unauthenticated):
        await verifier.verify(forged)


async def test_a_published_key_is_never_used_as_a_secret(
    issuer: Issuer, verifier: Verifier
) -> None:
    public = OLD.private.public_key()
    spellings = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(OLD.jwk()).encode(),
        json.loads(issuer.body)["keys"][0]["x"].encode(),
        b"",
    ]
    for secret in spellings:
        forged = spelled({"alg": "HS256", "kid": "old"}, {"sub": "x", "exp": 2**40}, secret)
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged)


async def test_a_token_without_a_kid_needs_the_only_key(
    issuer: Issuer, clock: FakeClock, keys: Jwks, verifier: Verifier
) -> None:
    nameless = SigningKey(None, OLD.private, "ES256").token()
    assert (await verifier.verify(nameless)).identity.user_id == "alice"
    issuer.show(OLD, OTHER)
    await keys.fetch()
    with pytest.raises(Unauthenticated):
        await verifier.verify(nameless)


async def test_a_key_without_a_kid_is_not_found_by_kid(issuer: Issuer, verifier: Verifier) -> None:
    nameless = SigningKey(None, NEW.private, "ES256")
    issuer.show(nameless)
    assert (await verifier.verify(nameless.token())).identity.user_id == "alice"
    with pytest.raises(Unauthenticated):
        await verifier.verify(NEW.token())


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "../../../../etc/passwd",
        "old' OR '1'='1",
        "\x00",
        "http://127.0.0.1/keys",
        "k" * 3000,
        "OLD",
        " old",
    ],
)
async def test_a_kid_is_only_compared(kid: str, issuer: Issuer, verifier: Verifier) -> None:
    await verifier.verify(OLD.token())
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(OLD.token(headers={"kid": kid}))
    assert not kid or kid not in str(refused.value)


async def test_keys_inside_a_token_are_ignored(issuer: Issuer, verifier: Verifier) -> None:
    with issuing(NEW) as evil:
        told: dict[str, Any] = {"jku": evil.url, "x5u": evil.url, "jwk": NEW.jwk()}
        assert (await verifier.verify(OLD.token(headers=told))).identity.user_id == "alice"
        for kid in ("old", "new"):
            with pytest.raises(Unauthenticated):
                await verifier.verify(NEW.token(headers=told | {"kid": kid}))
        assert evil.asked == 0


async def test_a_withdrawn_key_is_refused_even_for_a_cached_token(
    issuer: Issuer, clock: FakeClock, keys: Jwks, verifier: Verifier
) -> None:
    token = OLD.token()
    await verifier.verify(token)
    issuer.show(NEW)
    await keys.fetch()
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_kid_that_now_names_another_key_does_not_verify_old_tokens(
    issuer: Issuer, clock: FakeClock, keys: Jwks, verifier: Verifier
) -> None:
    token = OLD.token()
    await verifier.verify(token)
    issuer.show(SigningKey("old", NEW.private, "ES256"))
    await keys.fetch()
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_token_stays_cached_while_its_key_is_published(
    keys: Jwks, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = OLD.token()
    await verifier.verify(token)
    await keys.fetch()
    with monkeypatch.context() as undecoded:
        undecoded.delattr(jwt, "decode")
        assert (await verifier.verify(token)).identity.user_id == "alice"


@pytest.mark.parametrize("turned", [False, True])
async def test_keys_of_two_types_may_share_a_kid(
    turned: bool,  # noqa: FBT001 - pytest passes it by name
    issuer: Issuer,
    verifier: Verifier,
) -> None:
    shared = [
        SigningKey("same", RSA.private, "RS256"),
        SigningKey("same", OLD.private, "ES256"),
        SigningKey("same", OTHER.private, "EdDSA"),
    ]
    issuer.show(*(reversed(shared) if turned else shared))
    for key in shared:
        assert (await verifier.verify(key.token(key.algorithm))).identity.user_id == key.algorithm
        forged = SigningKey(
            "same",
            {"RS256": rs256, "ES256": es256, "EdDSA": eddsa}[key.algorithm]().private,
            key.algorithm,
        )
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged.token())


def small() -> dict[str, Any]:
    return rs256("weak", 1024).jwk()


def p384() -> dict[str, Any]:
    return SigningKey("p384", ec.generate_private_key(ec.SECP384R1()), "ES384").jwk()


def private() -> dict[str, Any]:
    made: dict[str, Any] = jwt.get_algorithm_by_name("ES256").to_jwk(OLD.private, as_dict=True)
    return made | {"kid": "private"}


def secret() -> dict[str, Any]:
    return {"kty": "oct", "k": secrets.token_urlsafe(32), "kid": "secret"}


@pytest.mark.parametrize(
    "unfit",
    [
        small(),
        p384(),
        private(),
        secret(),
        secret() | {"alg": "HS256", "use": "sig"},
        OLD.jwk(use="enc"),
        OLD.jwk(use="SIG"),
        OLD.jwk(use=["sig"]),
        OLD.jwk(key_ops=["sign"]),
        OLD.jwk(key_ops=7),
        OLD.jwk(alg="ECDH-ES"),
        OLD.jwk(alg="ES384"),
        OLD.jwk(alg="HS256"),
        OLD.jwk(alg=["ES256"]),
        RSA.jwk(alg="RS512"),
        RSA.jwk(alg="PS256"),
        RSA.jwk(alg="RSA-OAEP"),
        RSA.jwk(n=None),
        RSA.jwk(n="AQAB"),
        RSA.jwk(e="!"),
        RSA.jwk(n=7),
        OLD.jwk(kty="RSA"),
        OLD.jwk(kty="oct"),
        OLD.jwk(kty=None),
        OLD.jwk(kty=7),
        OLD.jwk(crv="P-384"),
        OLD.jwk(crv="secp256k1"),
        OLD.jwk(x="AAAA"),
        OTHER.jwk(crv="Ed448"),
        OTHER.jwk(crv="X25519"),
        OTHER.jwk(x="AAAA"),
        OLD.jwk(kid=7),
        OLD.jwk(kid=["old"]),
        7,
        None,
        [],
    ],
)
def test_an_unusable_key_is_ignored_and_the_others_are_used(unfit: Any) -> None:
    found = key_set(json.dumps({"keys": [unfit, NEW.jwk()]}).encode())
    assert list(found.named) == [("new", "ES256")]
    assert found.only == NEW.private.public_key()
    with pytest.raises(ValueError, match="no usable key"):
        key_set(json.dumps({"keys": [unfit]}).encode())


@pytest.mark.parametrize(
    "fit",
    [
        OLD.jwk(use=None, alg=None),
        OLD.jwk(key_ops=["verify"]),
        OLD.jwk(kid=None),
        RSA.jwk(x5c=["nonsense"], x5u="http://127.0.0.1:1/"),
        OTHER.jwk(alg=None),
    ],
)
def test_a_key_may_leave_out_its_use(fit: dict[str, Any]) -> None:
    assert key_set(json.dumps({"keys": [fit]}).encode()).only is not None
