"""Asks the port of metrics and probes, as Prometheus and the kubelet do."""

import asyncio
from typing import NamedTuple

from tests.support.until import PATIENCE


class Answer(NamedTuple):
    status: int
    body: str


async def get(port: int, path: str) -> Answer | None:
    """Ask; None if nobody listens."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    finally:
        writer.close()
    return Answer(int(head.split(" ")[1]), body)


async def shows(port: int, path: str, status: int, text: str = "") -> None:
    """Wait until a path has this status, and this text in its body."""
    answer = None
    try:
        async with asyncio.timeout(PATIENCE):
            while (answer := await get(port, path)) is None or not (  # noqa: ASYNC110 - no event
                answer.status == status and text in answer.body
            ):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{path} never showed {status} {text}, at last {answer}") from None
