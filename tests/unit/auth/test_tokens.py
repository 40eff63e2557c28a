"""Tokens with every kind of fault, and unusual tokens that are valid."""

import json
import secrets

import pytest
from dyad_server.errors import Unauthenticated

from tests.support.issuer import spelled
from tests.unit.auth.tokens import (
    ABSENT,
    GOOD,
    HS256,
    KEYS,
    TOMORROW,
    headed,
    signed,
    unsigned,
    verifier,
    written,
)

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
    "signed with the jwk in its header": spelled(
        HS256 | {"jwk": {"kty": "oct", "k": "AAAA"}}, GOOD, b"\x00\x00\x00"
    ),
    "crit unknown": headed(crit=["x"], x=1),
    "crit names a missing header": headed(crit=["x"]),
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
    "signature with a letter outside base64": signed()[:-1] + "!" + signed()[-1],
    "too much padding": signed() + "===",
    "6145 letters": "x" * 6145,
}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
async def test_a_faulty_token_is_refused_with_a_sentence_that_does_not_quote_it(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify(token)
    said = str(refused.value)
    assert said.endswith(".")
    quoted = [part for part in [*token.split("."), "alice", "a@x", "soon"] if len(part) > 1]
    assert not any(part in said for part in quoted)


VALID = {
    "ordinary": signed(),
    "no email": signed(email=ABSENT),
    "email null": signed(email=None),
    "email empty": signed(email=""),
    "room null": signed(room=None),
    "the longest email": signed(email="e" * 256, jti="j"),
    "exp with a fraction": signed(exp=TOMORROW + 0.5),
    "exp in the year 33658": signed(exp=10**12),
    "exp as a large float": signed(exp=1e300),
    "exp past any float": signed(exp=10**400),
    "no typ": headed(typ=ABSENT),
    "typ of an access token": headed(typ="at+jwt"),
    "an unknown header": headed(x={"y": [1]}),
    "kid, and the only key has none": headed(kid="../../etc/passwd"),
    "kid, binary": headed(kid="\x00\x01\uffff"),
    "kid, huge": headed(kid="k" * 3000),
    "links to other keys": headed(jku="http://127.0.0.1:1/", x5u="file:///etc/passwd"),
    # RFC 7519, section 4: of repeated names the last one counts, or the token is refused.
    "claim twice": written(
        '{"sub":"mallory","sub":"alice","exp":1,"email":"a@x","exp":9999999999}'
    ),
    "alg twice": written(json.dumps(GOOD), '{"alg":"none","alg":"HS256"}'),
    "claims after spaces": written(f"  {json.dumps(GOOD)}\n"),
}


@pytest.mark.parametrize("token", VALID.values(), ids=VALID.keys())
async def test_a_good_token_names_its_user_each_time_it_is_verified(token: str) -> None:
    checks = verifier()
    first = await checks.verify(token)
    assert first.identity.user_id == "alice"
    assert first.identity.room is None
    assert await checks.verify(token) == first


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
async def test_the_sentence_names_the_claim_at_fault(claim: str, value: object, says: str) -> None:
    with pytest.raises(Unauthenticated, match=says):
        await verifier().verify(signed(**{claim: value}))
