"""For any token, the verifier names the user or raises `Ended`."""

import base64
import contextlib
import hashlib
import hmac
import json
import random
import time
from typing import Any

import pytest
from dyad_server.auth.keys import secret_key
from dyad_server.auth.mint import mint
from dyad_server.auth.verifier import Verifier
from dyad_server.core.commands import Identity
from dyad_server.errors import Ended
from dyad_server.ops.clock import LoopClock

from tests.fuzz import budget
from tests.fuzz.frames import mutated
from tests.support.keys import only

SECRET = "s" * 32
CLAIMS = ("sub", "exp", "nbf", "iat", "iss", "aud", "room", "email")
HEADERS = ("alg", "typ", "kid", "crit", "b64", "cty", "HS256", "none", "JWT")
WORDS = (*CLAIMS, *HEADERS, "1e999", "", "\ud800", "\0", "x" * 300)
NUMBERS = [0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e308, float("nan"), float("inf")]
GOOD = mint(SECRET, sub="alice", email="a@x", ttl=3600)


def value(rng: random.Random, depth: int = 0) -> Any:
    """Some JSON."""
    match rng.randrange(7 if depth < 3 else 4):
        case 0:
            return rng.choice(NUMBERS)
        case 1 | 2:
            return rng.choice(WORDS)
        case 3:
            return rng.choice([None, True, False])
        case 4:
            return int(time.time()) + rng.randrange(-100, 100)
        case 5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {rng.choice(WORDS): value(rng, depth + 1) for _ in range(rng.randrange(5))}


def document(rng: random.Random, usual: dict[str, Any]) -> bytes:
    """JSON for a header or for claims: nearly valid, anything, or nothing."""
    match rng.randrange(8):
        case 0:
            return json.dumps(value(rng)).encode()
        case 1:
            return rng.choice([b"[", b'{"a":', b'"']) * rng.choice([1, 500, 1500])
        case 2:
            return rng.randbytes(rng.randrange(40))
        case 3:
            # A name that appears twice; a number with very many digits.
            return b'{"sub":"x","sub":"y","exp":' + b"9" * rng.choice([10, 400, 4400]) + b"}"
        case _:
            return json.dumps(usual | {rng.choice(WORDS): value(rng)}).encode()


def signed(rng: random.Random) -> str:
    """A token with arbitrary content and a valid signature."""
    head = document(rng, {"alg": rng.choice(["HS256"] * 4 + ["none"]), "typ": "JWT"})
    claims = document(rng, {"sub": "alice", "exp": int(time.time()) + 3600})
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, claims))
    signature = hmac.new(SECRET.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def changed(rng: random.Random) -> str:
    """A good token with changes."""
    return mutated(rng, GOOD.encode()).decode("utf-8", rng.choice(["replace", "surrogateescape"]))


@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(0)
async def test_any_token_content_raises_only_ended() -> None:
    rng = random.Random(f"{budget.SEED} tokens")
    verifier = Verifier(only(secret_key(SECRET)), LoopClock())
    good = 0
    for n in range(budget.OF_TOKENS):
        honest = n % 2 == 0
        token = changed(rng) if honest else signed(rng)
        with contextlib.suppress(Ended):
            try:
                identity = (await verifier.verify(token)).identity
            except Ended:
                raise
            except BaseException as error:
                error.add_note(f"FUZZ_SEED={budget.SEED}, token {n}: {token!r}")
                raise
            good += 1
            # An altered token that still verifies must have its original content.
            assert not honest or identity == Identity("alice", "a@x"), token
    budget.said(budget.OF_TOKENS, f"tokens, {good} of them good")
    assert 0 < good < budget.OF_TOKENS


@pytest.mark.parametrize("value", ["Bearer ", b"Bearer \xff", "bearer\t x", "Bearer é", " ", ""])
async def test_any_authorization_header_raises_only_ended(value: str | bytes) -> None:
    verifier = Verifier(only(secret_key(SECRET)), LoopClock())
    with pytest.raises(Ended):
        await verifier.verify_metadata([("authorization", value)])
