"""Clients whose deadline (`grpc-timeout`) passes while the server answers them."""

import pytest
from hyperframe.frame import DataFrame

from tests.conftest import SECRET
from tests.support.http2 import LISTEN, SEND, SIGNAL, connected, message
from tests.support.process import dyad_serve
from tests.support.services import CHECK

REQUESTS = 1000
"""Without the filter, one in a hundred of them left a traceback."""


@pytest.mark.parametrize("path", [SIGNAL, LISTEN, SEND, CHECK])
async def test_requests_with_a_deadline_in_the_past_write_nothing_to_the_log(path: str) -> None:
    async with dyad_serve(SECRET) as served:
        async with connected(served.port) as http2:
            streams = range(1, 2 * REQUESTS, 2)
            for stream in streams:
                http2.write(
                    http2.headers(stream, ("grpc-timeout", "1n"), path=path),
                    DataFrame(stream, message(b""), flags=["END_STREAM"]),
                )
            await http2.drain()
            for stream in streams:
                await http2.ended(stream)
        assert "ERROR" not in served.command.said
