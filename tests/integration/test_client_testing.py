"""`dyad.testing`: what apps use in their own tests."""

import asyncio
import os
import re
import sys
from pathlib import Path

import dyad
import pytest
from dyad.testing import local_server

from tests.support.needs import ROOT
from tests.support.python_client import hear
from tests.support.until import PATIENCE


async def test_the_test_in_the_readme_passes_in_an_empty_folder(tmp_path: Path) -> None:
    readme = (ROOT / "clients" / "python" / "README.md").read_text()
    section = readme.partition("\n## Test your app\n")[2].partition("\n##")[0]
    (text,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_app.py").write_text(text)
    (scope,) = re.findall(r"^`(asyncio_\w+) = \"(\w+)\"`", section, re.MULTILINE)
    options = ["-o", "asyncio_mode=auto", "-o", "=".join(scope), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *options]
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env=own,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"1 passed" in said


async def test_the_settings_of_the_server_and_of_the_tokens_count() -> None:
    room = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10"
    async with local_server(lone_timeout=0.1) as server, asyncio.timeout(PATIENCE):
        token = server.token("alice", email="a@x", room=room)
        async with dyad.connect(server.target, token, plaintext=True) as alice:
            assert (await alice.create(resumable=False)).room_id == room
            with pytest.raises(dyad.TimedOut):
                await hear(alice)
        expired = server.token("alice", ttl=-60)
        async with dyad.connect(server.target, expired, plaintext=True) as alice:
            with pytest.raises(dyad.Unauthenticated):
                await alice.create()


async def test_printing_the_server_shows_no_secret() -> None:
    async with local_server() as server:
        assert repr(server) == f"LocalServer(target={server.target!r})"
