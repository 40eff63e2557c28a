"""The command `dyad demo`: its output, its links, and that it leaves no process behind."""

import asyncio
import os
import re
import signal
import urllib.request
from collections.abc import Callable

import jwt
import psutil
import pytest

from tests.support.needs import PAGE, needs
from tests.support.process import DYAD, command
from tests.support.until import PATIENCE

STEP = re.compile(r"^ *([\d.]+) ms  (alice|bob) +(.+)$", re.MULTILINE)
LINK = re.compile(r"(Caller|Callee):  (http://localhost:\d+/)#token=([^&]+)&auto=1")


async def gone(pid: int) -> None:
    """Wait for the end of a process, which may be the child of any other."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(watched, over.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await over.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


def fetch(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=PATIENCE) as page:
        return page.headers["content-type"], page.read().decode()


def steps(said: str) -> list[tuple[str, str]]:
    times = [float(step[1]) for step in STEP.finditer(said)]
    assert times == sorted(times), said
    return [(step[2], step[3]) for step in STEP.finditer(said)]


async def test_the_demo_shows_both_scripted_calls_and_two_links_that_load() -> None:
    needs(PAGE)
    async with command(DYAD, "demo", "--port", "0") as demo:
        await demo.says(r"Press Ctrl-C to stop\.\n")
        native, web = demo.said.split("A call over grpc-web")
        assert steps(native)[-1] == ("bob", "was told that alice left")
        assert steps(web)[-2:] == [
            ("bob", "was told that alice left (left)"),
            ("bob", "left"),
        ]
        for what in ("offer", "answer", "candidate"):
            for script in (native, web):
                assert re.search(rf"(got|received) .*{what}", script), f"no {what} in:\n{script}"
        links = LINK.findall(demo.said)
        assert [role for role, _, _ in links] == ["Caller", "Callee"]
        claims = [jwt.decode(token, options={"verify_signature": False}) for *_, token in links]
        assert [claim["sub"] for claim in claims] == ["alice", "bob"]
        assert claims[0]["room"] == claims[1]["room"]
        kind, page = await asyncio.to_thread(fetch, links[0][1])
        assert kind.startswith("text/html")
        assert page == PAGE.read_text()


@pytest.mark.parametrize(
    # A terminal signals the whole group: Envoy receives Ctrl-C, too.
    ("end", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGINT), (os.kill, signal.SIGTERM)],
    ids=["Ctrl-C", "SIGINT", "SIGTERM"],
)
async def test_the_demo_leaves_no_process_behind(
    end: Callable[[int, int], None], number: signal.Signals
) -> None:
    needs(PAGE)
    async with command(DYAD, "demo", "--port", "0") as demo:
        await demo.says(r"Press Ctrl-C to stop\.\n")
        started = psutil.Process(demo.process.pid).children(recursive=True)
        assert started, "Envoy runs, so the demo has a child process"
        end(demo.process.pid, number)
        assert await demo.ended() == 0, demo.said
        for child in started:
            await gone(child.pid)
        assert demo.said.endswith("Stopped.\n"), demo.said
        assert "Traceback" not in demo.said
