"""`dyad check` and `dyad --version`: each finding is one sentence, and nothing is started."""

import os
import re
import secrets
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.process import DYAD, run

SECRET = secrets.token_hex(32)
BARE = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_")}
KEYED = BARE | {"DYAD_JWT_SECRET": SECRET}


def keys(folder: Path, **files: str) -> str:
    path = folder / "keys"
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return str(path)


async def test_good_settings_have_no_finding(tmp_path: Path) -> None:
    own = certificate(tmp_path, "own")
    arguments = (
        *("--jwt-secret-file", keys(tmp_path, old=SECRET, old_until="2999-01-01", new=SECRET)),
        *("--tls-cert", own.cert, "--tls-key", own.key, "--host", "0.0.0.0"),
        *("--redis", "redis://127.0.0.1:1", "--workers", "4"),
    )
    assert await run(DYAD, "check", *arguments, env=BARE) == (0, "The settings are good.\n")


async def test_each_mistake_has_its_own_line_and_the_status_is_2() -> None:
    arguments = ("--workers", "2", "--lease", "1", "--tls-cert", "c", "--trusted-hops", "1")
    env = KEYED | {"DYAD_JWT_AUDIANCE": "x", "DYAD_TRUSTED_PROXIES": "10.0.0.0/8"}
    status, said = await run(DYAD, "check", *arguments, env=env)
    assert status == 2
    lines = said.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    for part in ("AUDIENCE?", "--workers needs", "--lease", "--tls-cert and", "--trusted-hops"):
        assert sum(part in line for line in lines) == 1, said
    assert len(lines) == 5


async def test_serve_names_the_same_mistakes_all_at_once(tmp_path: Path) -> None:
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    arguments = (
        *("--jwt-secret-file", keys(tmp_path, old="short"), "--redis", "http://x"),
        *("--tls-cert", own.cert, "--tls-key", other.key, "--workers", "2"),
    )
    status, said = await run(DYAD, "check", *arguments, env=BARE)
    assert status == 2
    assert re.findall(
        r"^error: .*(has 5 bytes|not the private key|not a URL)", said, re.MULTILINE
    ) == [
        "has 5 bytes",
        "not the private key",
        "not a URL",
    ]
    served = await run(DYAD, "serve", *arguments, env=BARE)
    assert served == (2, said.replace("error: ", "dyad: "))


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(-30, "expired at"), (3600, "expires at")],
    ids=["expired", "soon"],
)
async def test_a_certificate_that_is_over_or_soon_is_is_a_warning(
    seconds: int, says: str, tmp_path: Path
) -> None:
    own = certificate(tmp_path, "own", seconds=seconds)
    tls = ("--tls-cert", own.cert, "--tls-key", own.key)
    status, said = await run(DYAD, "check", *tls, env=KEYED)
    assert status == 1
    assert re.fullmatch(rf"warning: The certificate in --tls-cert {says} .*: renew it\.\n", said)


async def test_keys_that_have_ended_and_secrets_as_options_are_warnings(tmp_path: Path) -> None:
    folder = keys(tmp_path, old=SECRET, old_until="2026-01-01")
    status, said = await run(DYAD, "check", "--jwt-secret-file", folder, env=BARE)
    assert status == 1
    assert said == (
        "warning: The key old has ended: remove it.\n"
        "warning: All keys have ended: no token is accepted.\n"
    )
    status, said = await run(DYAD, "check", "--jwt-secret", SECRET, env=BARE)
    assert status == 1
    assert said.startswith("warning: --jwt-secret shows the secret")
    assert SECRET not in said


async def test_no_connection_is_made() -> None:
    env = BARE | {
        "DYAD_JWT_JWKS_URL": "https://issuer.invalid/keys",
        "DYAD_REDIS": "redis://r.invalid",
    }
    assert await run(DYAD, "check", env=env) == (0, "The settings are good.\n")


async def test_the_version_names_what_an_issue_needs() -> None:
    status, said = await run(DYAD, "--version", env=BARE)
    assert status == 0
    assert re.fullmatch(r"dyad \d\S* \(grpcio 1\.\S+, Python 3\.\S+\)\n", said)
