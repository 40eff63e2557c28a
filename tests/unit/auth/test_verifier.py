"""Every possible fault of a token."""

import json
import secrets
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dyad_server.auth import verifier as verifier_module
from dyad_server.auth.keys import OneKey, public_key, secret_key
from dyad_server.auth.verifier import Verifier, mint
from dyad_server.core.commands import Identity
from dyad_server.errors import ConfigError, Unauthenticated

from tests.support.issuer import SigningKey, eddsa, es256, rs256, spelled

SECRET = secrets.token_hex(32)
TOMORROW = int(time.time()) + 24 * 3600
GOOD: dict[str, Any] = {"sub": "alice", "email": "a@x", "exp": TOMORROW}
HS256 = {"alg": "HS256", "typ": "JWT"}
KEYS = {"RS256": rs256(), "ES256": es256(), "EdDSA": eddsa()}
ABSENT = object()


def pem(key: SigningKey) -> str:
    public = key.private.public_key()
    text: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def claims(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | changes).items() if value is not ABSENT}


def signed(**changes: Any) -> str:
    return spelled(HS256, claims(**changes), SECRET.encode())


def headed(**changes: Any) -> str:
    header = {name: value for name, value in (HS256 | changes).items() if value is not ABSENT}
    return spelled(header, GOOD, SECRET.encode())


def written(claims_text: str | bytes, header_text: str | bytes = '{"alg":"HS256"}') -> str:
    texts = [
        text if isinstance(text, bytes) else text.encode() for text in (header_text, claims_text)
    ]
    return spelled(texts[0], texts[1], SECRET.encode())


def unsigned(token: str) -> str:
    return token.rpartition(".")[0] + "."


def verifier(**settings: Any) -> Verifier:
    return Verifier(OneKey(secret_key(SECRET)), **settings)


REFUSED = {
    "nothing": "",
    "nonsense": "nonsense",
    "three letters": "a.b.c",
    "not ASCII": "ä.ö.ü",
    "half a surrogate pair": "\ud800",
    "NUL": "\x00",
    "no sub": signed(sub=ABSENT),
    "sub null": signed(sub=None),
    "sub empty": signed(sub=""),
    "sub too long": signed(sub="x" * 257),
    "sub number": signed(sub=7),
    "sub truth": signed(sub=True),
    "sub list": signed(sub=["alice"]),
    "sub object": signed(sub={"alice": 1}),
    "sub half a surrogate pair": signed(sub="al\ud800ice"),
    "no exp": signed(exp=ABSENT),
    "exp null": signed(exp=None),
    "exp text": signed(exp="soon"),
    "exp text of a number": signed(exp=str(TOMORROW)),
    "exp truth": signed(exp=True),
    "exp list": signed(exp=[TOMORROW]),
    "exp NaN": written('{"sub":"alice","exp":NaN}'),
    "exp Infinity": written('{"sub":"alice","exp":Infinity}'),
    "exp past Infinity": written('{"sub":"alice","exp":1e999}'),
    "exp of 5000 digits": written('{"sub":"alice","exp":' + "9" * 5000 + "}"),
    "exp long ago": signed(exp=-(10**400)),
    "exp 0": signed(exp=0),
    "nbf text of a number": signed(nbf="1"),
    "nbf truth": signed(nbf=True),
    "nbf null": signed(nbf=None),
    "iat text of a number": signed(iat="1"),
    "iat NaN": written('{"sub":"alice","exp":9999999999,"iat":NaN}'),
    "email number": signed(email=7),
    "email list": signed(email=["a@x"]),
    "email truth": signed(email=False),
    "email too long": signed(email="x" * 257),
    "email half a surrogate pair": signed(email="\udfff@x"),
    "room number": signed(room=7),
    "room list": signed(room=["a"]),
    "room object": signed(room={}),
    "room truth": signed(room=False),
    "room empty": signed(room=""),
    "room too long": signed(room="x" * 257),
    "alg none": headed(alg="none"),
    "alg None": headed(alg="None"),
    "alg nOnE": headed(alg="nOnE"),
    "alg none, unsigned": unsigned(headed(alg="none")),
    "unsigned": unsigned(headed()),
    "no alg": headed(alg=ABSENT),
    "alg null": headed(alg=None),
    "alg list": headed(alg=["HS256"]),
    "alg in small letters": headed(alg="hs256"),
    "alg RS256": KEYS["RS256"].token(),
    "alg ES256": KEYS["ES256"].token(),
    "alg EdDSA": KEYS["EdDSA"].token(),
    "alg RS256, signed as HS256": headed(alg="RS256"),
    "alg HS512, signed as HS256": headed(alg="HS512"),
    "another secret": spelled(HS256, GOOD, secrets.token_bytes(32)),
    "no secret": spelled(HS256, GOOD, b""),
    "the jwk it brings along": spelled(
        HS256 | {"jwk": {"kty": "oct", "k": "AAAA"}}, GOOD, b"\x00\x00\x00"
    ),
    "crit unknown": headed(crit=["x"], x=1),
    "crit unknown and not there": headed(crit=["x"]),
    "crit empty": headed(crit=[]),
    "crit text": headed(crit="b64"),
    "crit not b64": headed(crit=["b64"], b64=False),
    "kid number": headed(kid=7),
    "kid null": headed(kid=None),
    "kid list": headed(kid=["a"]),
    "kid object": headed(kid={}),
    "encrypted": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
    "a token in a token": written(json.dumps(signed()), '{"alg":"HS256","cty":"JWT"}'),
    "claims list": written("[]"),
    "claims null": written("null"),
    "claims nothing": written(""),
    "claims not UTF-8": written(b"\xff\xff"),
    "claims nested deeply": written("[" * 4000),
    "claims nested deeply inside": written('{"sub":' + '{"a":' * 3000),
    "header list": written(json.dumps(GOOD), "[]"),
    "header nested deeply": written(json.dumps(GOOD), "[" * 4000),
    "header not UTF-8": written(json.dumps(GOOD), b"\xff\xff"),
    "one letter more": signed() + "x",
    "a dot more": signed() + ".",
    "a part more": signed() + ".AAAA",
    "a line break more": signed() + "\n",
    "a space before": " " + signed(),
    "twice": signed() + signed(),
    "two, with a comma": signed() + "," + signed(),
    "cut off": signed()[:-4],
    "signature in standard base64": signed()[:-2] + "+/",
    "signature with a letter of no alphabet": signed()[:-1] + "!" + signed()[-1],
    "too much padding": signed() + "===",
    "6145 letters": "x" * 6145,
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
async def test_a_faulty_token_is_refused_in_a_sentence_that_does_not_quote_it(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify(token)
    said = str(refused.value)
    assert said.endswith(".")
    quoted = [part for part in [*token.split("."), "alice", "a@x", "soon"] if len(part) > 1]
    assert not any(part in said for part in quoted)


HOLDS = {
    "as it should be": signed(),
    "no email": signed(email=ABSENT),
    "email null": signed(email=None),
    "email empty": signed(email=""),
    "room null": signed(room=None),
    "of the longest names": signed(email="e" * 256, jti="j"),
    "exp with a fraction": signed(exp=TOMORROW + 0.5),
    "exp in the year 33658": signed(exp=10**12),
    "exp as a large float": signed(exp=1e300),
    "exp past any float": signed(exp=10**400),
    "no typ": headed(typ=ABSENT),
    "typ of an access token": headed(typ="at+jwt"),
    "a header nobody knows": headed(x={"y": [1]}),
    "kid, where there is one key": headed(kid="../../etc/passwd"),
    "kid, binary": headed(kid="\x00\x01\uffff"),
    "kid, huge": headed(kid="k" * 3000),
    "keys from elsewhere": headed(jku="http://127.0.0.1:1/", x5u="file:///etc/passwd"),
    # RFC 7519, section 4: the last of them counts, or none.
    "claim twice": written(
        '{"sub":"mallory","sub":"alice","exp":1,"email":"a@x","exp":9999999999}'
    ),
    "alg twice": written(json.dumps(GOOD), '{"alg":"none","alg":"HS256"}'),
    "claims after a byte order of spaces": written(f"  {json.dumps(GOOD)}\n"),
}


@pytest.mark.parametrize("token", HOLDS.values(), ids=HOLDS.keys())
async def test_a_good_token_names_its_user_each_time_it_is_verified(token: str) -> None:
    checks = verifier()
    first = await checks.verify(token)
    assert first.identity.user_id == "alice"
    assert first.identity.room is None
    assert await checks.verify(token) == first


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
async def test_a_secret_verifies_the_hmac_algorithms_only(algorithm: str) -> None:
    token = jwt.encode(GOOD, SECRET, algorithm=algorithm)
    assert (await verifier().verify(token)).identity == Identity("alice", "a@x")


@pytest.mark.parametrize("of", KEYS)
async def test_a_public_key_verifies_its_own_tokens_and_no_others(of: str) -> None:
    checks = Verifier(OneKey(public_key(pem(KEYS[of]))))
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
    checks = Verifier(OneKey(public_key(pem(KEYS[of]))))
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
    checks = Verifier(OneKey(public_key(pem(KEYS["RS256"]))))
    with pytest.raises(Unauthenticated):
        await checks.verify(jwt.encode(GOOD, KEYS["RS256"].private, algorithm=alg))


async def test_a_token_that_was_good_before_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = verifier()
    await checks.verify(signed())
    then = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: then)
    with pytest.raises(Unauthenticated, match="expired"):
        await checks.verify(signed())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that the library has decoded."""
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
    monkeypatch.setattr(verifier_module, "_CACHED_TOKENS", 2)
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
        key, token, other = OneKey(secret_key(SECRET)), signed(), signed(sub="bob")
    else:
        key, token = OneKey(public_key(pem(KEYS[of]))), KEYS[of].token()
        other = KEYS[of].token("bob")
    forged = ".".join([*token.split(".")[:2], other.split(".")[2]])
    with pytest.raises(Unauthenticated, match="signature"):
        await Verifier(key).verify(forged)
    assert decoded == []
    await Verifier(key).verify(token)
    assert decoded == [token]


@pytest.mark.parametrize(
    ("claim", "value", "says"),
    [
        ("sub", 42, "claim sub is a number: it must be text"),
        ("sub", 4.2, "claim sub is a number"),
        ("sub", True, "claim sub is true or false"),
        ("sub", ["alice"], "claim sub is a list"),
        ("sub", {"id": "alice"}, "claim sub is an object"),
        ("sub", None, "no claim sub"),
        ("sub", ABSENT, "no claim sub"),
        ("sub", "", "claim sub is empty"),
        ("sub", "x" * 257, "claim sub is longer than 256 characters"),
        ("sub", "\ud800", "claim sub is not valid Unicode"),
        ("email", 42, "claim email is a number"),
        ("email", 0, "claim email is a number"),
        ("email", False, "claim email is true or false"),
        ("email", [], "claim email is a list"),
        ("room", 42, "claim room is a number"),
        ("room", "", "claim room is empty"),
        ("exp", "soon", "claim exp is not a number"),
        ("exp", "4000000000", "claim exp is not a number"),
        ("exp", ABSENT, "no claim exp"),
        ("nbf", None, "claim nbf is not a number"),
        ("iat", "1", "claim iat is not a number"),
    ],
)
async def test_a_claim_that_is_refused_is_named(claim: str, value: object, says: str) -> None:
    with pytest.raises(Unauthenticated, match=says):
        await verifier().verify(signed(**{claim: value}))


async def test_a_token_encoded_differently_is_refused_or_names_the_same_user() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token, checks = signed(), verifier()
    # The last letter of a signature of 32 bytes stands for four bits and two of nothing.
    last = alphabet.index(token[-1])
    for letter in alphabet[last & ~3 : (last & ~3) + 4]:
        if letter != token[-1]:
            with pytest.raises(Unauthenticated):
                await checks.verify(token[:-1] + letter)
    # Some issuers pad. Nothing here is keyed by a token's text but its proof.
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
async def test_issuer_and_audience_are_checked_where_configured(
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
async def test_there_is_one_authorization_and_it_is_a_bearer_token(
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


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, pem(KEYS["ES256"])])
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
