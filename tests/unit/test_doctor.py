"""What the doctor's page, its probes of Redis, and its judgements say."""

import ast
import base64
import re
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import jwt
import pytest
from dyad_server.auth.keys import secret_key
from dyad_server.auth.verifier import Verifier
from dyad_server.config import Config
from dyad_server.doctor import call, clock, web
from dyad_server.doctor.call import HeldBack
from dyad_server.doctor.findings import Level, quoted
from dyad_server.doctor.tokens import Tokens, refusal
from dyad_server.engines.redis.observation import commands
from dyad_server.errors import Unauthenticated
from dyad_server.ops.clock import LoopClock

from tests.conftest import SECRET
from tests.support.keys import only
from tests.support.needs import ROOT
from tests.support.redis import RIGHTS

DOCTOR = ROOT / "server" / "dyad_server" / "doctor"
NOW = 1_800_000_000.0


def names() -> Iterator[str]:
    """The names of all findings, as the code makes them."""
    for path in DOCTOR.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name("ok" | "warning" | "error" | "level"),
                    args=[ast.Constant(str(name)), *_],
                ):
                    yield name
                case ast.Call(func=ast.Name("_Refusal"), args=[_, ast.Constant(str(name)), *_]):
                    yield name


def test_the_page_lists_the_name_of_each_finding() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text()
    rows = page.partition("## Findings")[2]
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", rows, re.MULTILINE)))
    assert sorted(listed) == sorted(set(names()))


def test_the_probes_of_redis_are_exactly_the_rights_that_dyad_needs() -> None:
    assert {f"+{name}" for name in commands()} == {
        word for word in RIGHTS.split() if word.startswith("+")
    }


@pytest.mark.parametrize(
    ("claims", "key", "name"),
    [
        ({}, "k" * 32, "wrong_key"),
        ({"aud": "other"}, SECRET, "wrong_audience"),
        ({"aud": None}, SECRET, "wrong_audience"),
        ({"iss": "other"}, SECRET, "wrong_issuer"),
        ({"iss": None}, SECRET, "wrong_issuer"),
        ({"exp": 1}, SECRET, "token_time"),
        ({"nbf": 2**40}, SECRET, "token_time"),
        ({"sub": None}, SECRET, "token_refused"),
    ],
)
async def test_each_reason_why_a_token_is_refused_has_its_name(
    claims: dict[str, Any], key: str, name: str
) -> None:
    verifier = Verifier(only(secret_key(SECRET)), LoopClock(), issuer="me", audience="calls")
    given = {"sub": "alice", "exp": 2**40, "iss": "me", "aud": "calls"} | claims
    token = jwt.encode({k: v for k, v in given.items() if v is not None}, key, "HS256")
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)
    assert refusal("A token", str(refused.value)).name == name


@pytest.mark.parametrize(
    ("key", "how"),
    [
        (SECRET.encode() + b"\n", "a newline at its end"),
        (bytes.fromhex(SECRET), "its hex digits decoded"),
        (base64.b64decode(SECRET), "its base64 decoded"),
        (b"k" * 32, ""),
    ],
    # The bytes are others in each process of pytest.
    ids=["newline", "hex", "base64", "another"],
)
async def test_a_secret_that_the_app_misreads_is_named(key: bytes, how: str) -> None:
    given = jwt.encode({"sub": "alice", "exp": 2**40}, key, "HS256")
    config = Config(jwt_secret=SECRET)
    tokens = Tokens(config, LoopClock(), [given])
    (found,) = await tokens.check(config, only(secret_key(SECRET)))
    assert found.name == "wrong_key"
    assert (f"but with {how}." in found.sentence) == bool(how)


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0, Level.OK), (-4, Level.OK), (10, Level.WARNING), (-29, Level.WARNING), (60, Level.ERROR)],
)
def test_a_date_is_compared_with_the_middle_of_the_request(ahead: float, level: Level) -> None:
    date = formatdate(NOW + ahead, usegmt=True)
    # The request took 4 s.
    (found,) = clock.by_date("x", date, NOW + 2, 4)
    assert found.level == level
    assert found.measured["ahead_s"] == pytest.approx(ahead, abs=1)


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_a_header_that_is_no_date_says_nothing(date: str) -> None:
    assert not [*clock.by_date("x", date, NOW, 0)]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ("authorization, Content-Type,x-grpc-web, dyad-routing-key", "cors_preflight"),
        ("*, authorization", "cors_preflight"),
        ("*", "cors_allowed_headers"),
        ("", "cors_allowed_headers"),
    ],
)
def test_a_star_does_not_allow_authorization(headers: str, name: str) -> None:
    said = {
        "access-control-allow-origin": "https://app",
        "access-control-allow-headers": headers,
    }
    found = web.preflight("https://call", "https://app", 200, said)
    assert found.name == name
    assert (found.level == Level.OK) == (name == "cors_preflight")


def test_a_header_that_two_proxies_write_is_named() -> None:
    said = {"access-control-allow-origin": "https://app, https://app"}
    found = web.preflight("https://call", "https://app", 200, said)
    assert found.name == "cors_origin"
    assert "twice" in found.sentence


def test_a_native_call_that_is_held_back_names_what_a_proxy_must_do() -> None:
    assert "grpc_pass" in call.failed("over gRPC at x", HeldBack("The answer")).advice


@pytest.mark.parametrize(
    ("exposed", "hidden"),
    [
        ("grpc-status, Grpc-Message, retry-after-ms, dyad-status", ""),
        ("*", ""),
        # What this answer has, as some proxies expose it.
        ("grpc-status, grpc-message, dyad-status, content-type", ""),
        ("grpc-status, grpc-message, dyad-status", "retry-after-ms"),
        ("grpc-status, grpc-message, content-type", "dyad-status"),
        ("", "grpc-status, grpc-message, retry-after-ms, dyad-status"),
    ],
)
def test_what_a_page_cannot_read_is_named(exposed: str, hidden: str) -> None:
    said = {
        "access-control-allow-origin": "https://app",
        "access-control-expose-headers": exposed,
        "content-type": "application/grpc-web+proto",
        "grpc-status": "16",
        "grpc-message": "There is no token.",
        "dyad-status": "16",
    }
    found = web.readable("https://call", "https://app", said)
    assert (found.name == "cors_exposed_headers") == bool(hidden)
    assert not hidden or f"hides {hidden} from" in found.sentence


def test_the_words_of_others_are_cut_and_cannot_steer_a_terminal() -> None:
    assert quoted("a\n\x1b[31mb.") == "a ?[31mb"
    assert len(quoted("x" * 1000)) == 200
