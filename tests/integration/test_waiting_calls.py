"""RPCs that arrive faster than the server's loop can begin them."""

import asyncio
import socket
from collections import Counter

from hpack import Decoder, Encoder
from hyperframe.frame import Frame, HeadersFrame, PingFrame, SettingsFrame

from tests.conftest import serving
from tests.support.http2 import PREFACE, SEND
from tests.support.until import PATIENCE

CALLS = 3000
WAITING = 100
_HEADER = 9
_CANCELLED, _UNAUTHENTICATED = "1", "16"


class _Client:
    """Speaks HTTP/2, and blocks the thread meanwhile, which also runs the loop of the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._decoder = Decoder()
        self.statuses: list[str] = []
        self.pongs = 0

    def begin(self, calls: int) -> None:
        """Begin RPCs without a token, and wait until the server has read them."""
        pairs = [(":method", "POST"), (":scheme", "http"), (":path", SEND), (":authority", "x")]
        block = Encoder().encode([*pairs, ("content-type", "application/grpc"), ("te", "trailers")])
        frames = [HeadersFrame(2 * n + 1, block, flags=["END_HEADERS"]) for n in range(calls)]
        said = [SettingsFrame(0), *frames, PingFrame(0, b"answered")]
        self._socket.sendall(PREFACE + b"".join(frame.serialize() for frame in said))
        while not self.pongs:
            self._hear()

    def hear(self, ends: int) -> None:
        """Wait until this many RPCs have ended."""
        while len(self.statuses) < ends:
            self._hear()

    def close(self) -> None:
        self._socket.close()

    def _hear(self) -> None:
        frame, length = Frame.parse_frame_header(memoryview(self._read(_HEADER)))
        frame.parse_body(memoryview(self._read(length)))
        if isinstance(frame, PingFrame) and "ACK" in frame.flags:
            self.pongs += 1
        elif isinstance(frame, HeadersFrame):
            headers = {
                name.decode(): value.decode()
                for name, value in self._decoder.decode(frame.data, raw=True)
            }
            self.statuses += [headers["grpc-status"]] if "grpc-status" in headers else []

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            assert more, "the server closed the connection"
            data += more
        return data


async def test_only_a_bounded_number_of_rpcs_waits_to_begin() -> None:
    # Not on the completion queue: its server reads from the network in the loop's thread, which
    # this test blocks. So no RPC would arrive, and none would wait.
    async with serving(grpc_api="aio", max_streams_per_connection=CALLS) as server:
        client = _Client(server.port)
        try:
            # This blocks the loop of the server, so none of the RPCs can begin.
            client.begin(CALLS)
            await asyncio.to_thread(client.hear, CALLS)
        finally:
            client.close()
    ends = Counter(client.statuses)
    # gRPC was already waiting for the first RPC.
    assert ends == {_CANCELLED: CALLS - WAITING - 1, _UNAUTHENTICATED: WAITING + 1}
