"""The command `dyad`: its help, its tokens, and its sentences about mistakes."""

import os
import re
import secrets
import time
from dataclasses import fields
from pathlib import Path

import jwt
import pytest
from dyad_server.auth.keys import secret_key
from dyad_server.auth.verifier import Verifier
from dyad_server.config import Config
from dyad_server.core.commands import Identity
from dyad_server.ops.clock import LoopClock
from dyad_server.setting import variable

from tests.support.keys import only
from tests.support.process import DYAD, run

SECRET = secrets.token_hex(32)
BARE = {name: value for name, value in os.environ.items() if not name.startswith("DYAD_")}
BARE |= {"COLUMNS": "400"}
ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
KEYED = BARE | {"DYAD_JWT_SECRET": SECRET}


async def test_help_names_every_command() -> None:
    status, said = await run(DYAD, "--help", env=BARE)
    assert status == 0
    for command in ("serve", "check", "doctor", "token", "dev"):
        assert re.search(rf"^ +{command} +\w", said, re.MULTILINE), said


async def test_help_lists_every_setting_with_its_variable_and_default() -> None:
    status, said = await run(DYAD, "serve", "--help", env=BARE)
    assert status == 0
    text = " ".join(said.split())
    for setting in fields(Config):
        default = {"False": "no", "": "none"}.get(str(setting.default), str(setting.default))
        option = "--" + setting.name.replace("_", "-")
        row = f"{setting.metadata['help']} [{variable(setting.name)}; default {default}]"
        assert re.search(rf"{option}[ ,].*?{re.escape(row)}", text), f"help should list: {row}"
    assert "--lease SECONDS" in text
    assert "--max-opens-per-second N" in text


async def test_a_minted_token_has_the_claims_asked_for_and_the_server_accepts_it() -> None:
    arguments = ("--sub", "alice", "--email", "a@x", "--room", ROOM, "--ttl", "120")
    status, said = await run(DYAD, "token", *arguments, env=KEYED)
    assert status == 0, said
    token = said.rstrip("\n")
    checked = await Verifier(only(secret_key(SECRET)), LoopClock()).verify(token)
    assert checked.identity == Identity("alice", "a@x", ROOM)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 120
    assert abs(claims["iat"] - time.time()) < 30
    assert claims.keys() == {"sub", "email", "room", "iat", "exp"}


async def test_a_minted_token_has_no_other_claims(tmp_path: Path) -> None:
    other = secrets.token_hex(32)
    file = tmp_path / "secret"
    file.write_text(f"{other}\n")
    arguments = ("--sub", "bob", "--jwt-secret-file", str(file))
    status, said = await run(DYAD, "token", *arguments, env=KEYED)
    assert status == 0, said
    claims = jwt.decode(said.rstrip("\n"), other, algorithms=["HS256"])
    assert claims.keys() == {"sub", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 3600


async def test_a_minted_token_has_the_audience_and_issuer_that_the_settings_require(
    tmp_path: Path,
) -> None:
    file = tmp_path / "dyad.toml"
    file.write_text('jwt_issuer = "me"\n')
    env = KEYED | {"DYAD_JWT_AUDIENCE": "calls"}
    status, said = await run(DYAD, "token", "--sub", "bob", "--config", str(file), env=env)
    assert status == 0, said
    token = said.rstrip("\n")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer="me", audience="calls")
    assert claims.keys() == {"sub", "iat", "exp", "iss", "aud"}


async def test_a_token_is_signed_with_the_key_of_a_folder_that_lasts_longest(
    tmp_path: Path,
) -> None:
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    for name, text in {"a": old, "a.until": "2999-01-01", "b": new}.items():
        (tmp_path / name).write_text(text)
    arguments = ("--sub", "bob", "--jwt-secret-file", str(tmp_path))
    status, said = await run(DYAD, "token", *arguments, env=KEYED)
    assert status == 0, said
    token = said.rstrip("\n")
    assert jwt.decode(token, new, algorithms=["HS256"])["sub"] == "bob"
    assert jwt.get_unverified_header(token)["kid"] == "b"


async def test_a_secret_on_the_command_line_works_and_is_warned_about() -> None:
    arguments = ("--sub", "bob", "--jwt-secret", secrets.token_hex(32))
    status, said = await run(DYAD, "token", *arguments, env=BARE)
    assert status == 0, said
    assert "dyad: --jwt-secret shows the secret" in said
    assert arguments[-1] not in said


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        ((), KEYED, "COMMAND"),
        (("sing",), KEYED, "invalid choice: 'sing'"),
        (("serve", "--no-such-option"), KEYED, "--no-such-option"),
        (("serve", "--port", "x"), KEYED, "argument --port"),
        (("serve", "--port", "70000"), KEYED, "--port must be 0 to 65,535."),
        (("serve",), KEYED | {"DYAD_LEASE": "long"}, "DYAD_LEASE is not a number: long."),
        (("serve",), BARE, "Set DYAD_JWT_SECRET (`openssl rand -hex 32` makes a secret)"),
        (("serve",), BARE | {"DYAD_JWT_SECRET": "short"}, "it needs at least 32"),
        (("serve", "--jwt-public-key", "/no/file"), BARE, "--jwt-public-key: /no/file: No such"),
        (("serve",), KEYED | {"DYAD_JWT_AUDIANCE": "x"}, "did you mean DYAD_JWT_AUDIENCE?"),
        (("serve", "--lease", "1e400"), KEYED, "--lease must be 0.001 to 2,147,483 seconds."),
        (("serve", "--lease", "nan"), KEYED, "--lease must be 0.001 to 2,147,483 seconds."),
        (("serve", "--max-frame-bytes", "9" * 40), KEYED, "--max-frame-bytes must be 1 to"),
        (("serve", "--max-streams", "9" * 5000), KEYED, "argument --max-streams"),
        (("serve",), BARE | {"DYAD_JWT_SECRET": f"{SECRET}\n"}, "perhaps a newline."),
        (("serve", "--jwt-secret-file", "/no/file"), BARE, "--jwt-secret-file: /no/file: No such"),
        (("token", "--sub", "a"), BARE | {"DYAD_JWT_SECRET": f"{SECRET}\n"}, "perhaps a newline."),
        (("token", "--sub", "a", "--ttl", "9" * 4300), KEYED, "--ttl must be at most"),
        (("token",), KEYED, "--sub"),
        (("token", "--sub", "a"), BARE, "Set DYAD_JWT_SECRET"),
        (("token", "--sub", "a"), BARE | {"DYAD_JWT_SECRET": "short"}, "it needs at least 32"),
        (("token", "--sub", ""), KEYED, "The token's claim sub is empty."),
        (("token", "--sub", "a", "--ttl", "-60"), KEYED, "--ttl must be positive."),
        (("token", "--sub", "a", "--room", "r"), KEYED, "--room is not the id of a room"),
        (("token", "--sub", "a", "--rooom", ROOM), KEYED, "usage: dyad token"),
    ],
)
async def test_a_mistake_ends_with_status_2_and_a_sentence(
    arguments: tuple[str, ...], env: dict[str, str], says: str
) -> None:
    status, said = await run(DYAD, *arguments, env=env)
    assert status == 2, said
    assert says in said
    assert "Traceback" not in said
    assert SECRET not in said


def without(folder: Path, module: str) -> dict[str, str]:
    """An environment in which this module cannot be imported: `folder` comes first on the path."""
    (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})")
    return KEYED | {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


async def test_without_the_dependencies_of_redis_it_says_what_to_install(tmp_path: Path) -> None:
    env = without(tmp_path, "redis")
    status, said = await run(DYAD, "serve", "--redis", "redis://127.0.0.1:1", env=env)
    assert status == 2, said
    assert "-m pip install 'dyad-signaling-server[redis]'`." in said
    assert "Traceback" not in said


async def test_without_the_dependencies_of_the_doctor_it_says_what_to_install(
    tmp_path: Path,
) -> None:
    env = without(tmp_path, "httpx2")
    url = ("--port", "0", "--url", "http://127.0.0.1:1")
    status, said = await run(DYAD, "doctor", *url, env=env)
    assert status == 2, said
    assert "`dyad doctor --url` needs the package httpx2, which is not installed." in said
    assert "Traceback" not in said
    # Everything else is examined nevertheless.
    without(tmp_path, "psutil")
    status, said = await run(DYAD, "doctor", "--port", "0", env=env)
    assert (status, said.splitlines()[-1]) == (0, "Nothing is wrong.")
