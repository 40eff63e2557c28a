"""A stream of the client that is `Listen` and `Send`: grpc-web over HTTP/1.1, as in a browser."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

import aiohttp
import grpc
from dyad import Ended, routing
from dyad.errors import ended
from dyad.v1 import signaling_pb2 as pb

from dyad_server.grpc_web_format import (
    CONTENT_TYPE,
    HEAD,
    envelope,
    is_trailers,
    parse_trailers,
)
from dyad_server.load import bounds

_LISTEN = "dyad.v1.Signaling/Listen"
_SEND = "dyad.v1.Signaling/Send"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# https://grpc.io/docs/guides/status-codes/: what an HTTP status means to a gRPC client.
_HTTP = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.UNIMPLEMENTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.BAD_GATEWAY: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.UNAVAILABLE,
}
_BROKEN = (aiohttp.ClientError, asyncio.IncompleteReadError, TimeoutError, OSError)


class _Piece(NamedTuple):
    flags: int
    body: bytes


@asynccontextmanager
async def open_web_stream(
    url: str, tls: ssl.SSLContext | None, token: str, routing_key: str
) -> AsyncIterator["WebStream"]:
    """Open a stream through the proxy at `url`, on connections of its own, as a browser's are."""
    headers = {
        "authorization": f"Bearer {token}",
        routing.HEADER: routing_key,
        "content-type": CONTENT_TYPE,
        "accept": CONTENT_TYPE,
        "x-grpc-web": "1",
    }
    connector = aiohttp.TCPConnector(
        ssl=True if tls is None else tls, keepalive_timeout=bounds.SILENCE_SECONDS
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=bounds.CONNECT_SECONDS)
    async with aiohttp.ClientSession(
        f"{url.rstrip('/')}/",
        connector=connector,
        headers=headers,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        stream = WebStream(session)
        try:
            yield stream
        finally:
            stream.cancel()
            await stream.over()


class WebStream:
    """A `dyad.stream.Stream` on grpc-web."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Begin to listen."""
        self.id = ""
        self._session = session
        self._session_id = ""
        self._opened = asyncio.Event()
        self._outcome: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        # Its reader takes messages as fast as they come.
        self._arrived: asyncio.Queue[pb.SignalResponse | None] = asyncio.Queue()
        self._listening = asyncio.create_task(self._listen(), name="dyad-listen")

    async def read(self) -> pb.SignalResponse | None:
        """See `Stream`."""
        message = await self._arrived.get()
        if message is None:
            # For the next reader.
            self._arrived.put_nowait(None)
            if (end := self._outcome.result()) is not None:
                raise end
        return message

    async def opened(self) -> None:
        """See `Stream`: it is open when the server has said under which id to send."""
        await self._opened.wait()

    async def write(self, request: pb.SignalRequest) -> bool:
        """See `Stream`."""
        if self._outcome.done():
            return False
        message = pb.SendRequest(session_id=self._session_id, frames=request.frames)
        try:
            async with (
                asyncio.timeout(bounds.SEND_SECONDS),
                self._session.post(_SEND, data=envelope(message.SerializeToString())) as response,
            ):
                end = await _end_of(response, [piece async for piece in _pieces(response)])
        except _BROKEN as failure:
            end = _broken(failure)
        if end is None:
            return True
        if end.code is grpc.StatusCode.NOT_FOUND:
            # The server does not know the session any more: to the client, it is a cut.
            end = ended(grpc.StatusCode.UNAVAILABLE, end.message)
        self._end(end)
        self._listening.cancel()
        return False

    async def finish(self) -> None:
        """See `Stream`: a session of grpc-web ends with its `Listen`."""
        self.cancel()

    def cancel(self, sentence: str = "The client ended the stream.") -> None:
        """See `Stream`."""
        self._end(ended(grpc.StatusCode.CANCELLED, sentence))
        self._listening.cancel()

    async def over(self) -> None:
        """Wait until nothing of it goes on."""
        await asyncio.wait([self._listening])

    async def _listen(self) -> None:
        rest: list[_Piece] = []
        try:
            async with self._session.post(
                _LISTEN, data=envelope(pb.ListenRequest().SerializeToString())
            ) as response:
                self.id = response.headers.get("dyad-stream-id", "")
                async for piece in _pieces(response):
                    if is_trailers(piece.flags):
                        rest.append(piece)
                    else:
                        self._take(pb.ListenResponse.FromString(piece.body))
                end = await _end_of(response, rest)
        except _BROKEN as failure:
            end = _broken(failure)
        self._end(end)

    def _take(self, message: pb.ListenResponse) -> None:
        if message.session_id:
            self._session_id = message.session_id
            self._opened.set()
            if not message.frames:
                return  # It is no heartbeat.
        self._arrived.put_nowait(pb.SignalResponse(frames=message.frames))

    def _end(self, end: Ended | None) -> None:
        if not self._outcome.done():
            self._outcome.set_result(end)
            self._arrived.put_nowait(None)
            self._opened.set()


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[_Piece]:
    """The messages of a response, and its trailers."""
    if response.status != HTTPStatus.OK:
        return
    while not response.content.at_eof():
        try:
            head = await response.content.readexactly(HEAD.size)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return
        flags, size = HEAD.unpack(head)
        yield _Piece(flags, await response.content.readexactly(size))


async def _end_of(response: aiohttp.ClientResponse, pieces: list[_Piece]) -> Ended | None:
    """The status in the trailers, or in the headers if there are only those; None for OK."""
    if response.status != HTTPStatus.OK:
        code = _HTTP.get(HTTPStatus(response.status), grpc.StatusCode.UNKNOWN)
        return ended(code, f"The proxy answered HTTP {response.status}.", foreign=True)
    trailers: dict[str, str] = {}
    for piece in pieces:
        if is_trailers(piece.flags):
            trailers |= parse_trailers(piece.body)
    return _status(trailers or response.headers)


def _status(trailers: Mapping[str, str]) -> Ended | None:
    text = trailers.get("grpc-status")
    if text is None:
        sentence = "The proxy ended the response without a status."
        return ended(grpc.StatusCode.UNAVAILABLE, sentence, foreign=True)
    code = _CODES.get(int(text) if text.isdecimal() else -1, grpc.StatusCode.UNKNOWN)
    if code is grpc.StatusCode.OK:
        return None
    return ended(
        code,
        unquote(trailers.get("grpc-message", "")),
        trailers.get("retry-after-ms"),
        foreign=trailers.get("dyad-status") != text,
    )


def _broken(failure: BaseException) -> Ended:
    with contextlib.suppress(AttributeError):
        # Not all of its errors are errors of the system.
        return ended(grpc.StatusCode.UNAVAILABLE, f"{failure.os_error.strerror}.", foreign=True)  # type: ignore[attr-defined]
    # The library quotes in further lines what it received.
    text = str(failure).partition("\n")[0] or type(failure).__name__
    return ended(grpc.StatusCode.UNAVAILABLE, f"The connection broke: {text}.", foreign=True)
