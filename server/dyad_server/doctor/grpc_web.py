"""grpc-web as a browser speaks it, on httpx2; `examination` imports it where a URL is given.

No kept library offers grpc-web in Python, and the doctor must see each header itself.
"""

import asyncio
import http
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import unquote

import grpc
import httpx2
from dyad.v1 import signaling_pb2 as pb
from google.protobuf.message import DecodeError

from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds
from dyad_server.doctor.call import Away, CallFailed, Cut, HeldBack, Refused
from dyad_server.doctor.certificates import trusting

T = TypeVar("T")
# How long a stream may be silent is up to its caller.
_TIMEOUT = httpx2.Timeout(bounds.CONNECT_SECONDS, read=None)

CONTENT_TYPE = "application/grpc-web+proto"
_TRAILERS = 0x80
_HEAD_BYTES = 5
_CODES = {str(code.value[0]): code.name for code in grpc.StatusCode}


@dataclass(slots=True)
class Answer:
    """The answer to a request; its messages are read with `messages`.

    Attributes:
        http: the HTTP status.
        headers: the headers, and when the trailers have come, these too.
        begun: whether a message has come.
        complete: whether the answer has ended as gRPC wants it, with a status.
    """

    http: int
    headers: httpx2.Headers
    begun: bool = False
    complete: bool = False
    _response: httpx2.Response | None = field(default=None, repr=False)

    @property
    def is_grpc_web(self) -> bool:
        """Whether a gRPC server has answered, or a proxy in its name."""
        return self.headers.get("content-type", "").startswith("application/grpc-web")

    @property
    def by_dyad(self) -> bool:
        """Whether the status is Dyad's."""
        return "dyad-status" in self.headers

    @property
    def code(self) -> str:
        """The name of the gRPC status, or an unknown number; empty if there is none."""
        number = str(self.headers.get("grpc-status", ""))
        return _CODES.get(number, number)

    @property
    def message(self) -> str:
        """The `grpc-message`."""
        return unquote(self.headers.get("grpc-message", ""))

    async def messages(self) -> AsyncIterator[bytes]:
        """The messages, as they come.

        Raises:
            httpx2.HTTPError: the connection broke, or this is no grpc-web.
        """
        if self._response is None or not self.is_grpc_web:
            return
        self.complete = bool(self.code)
        buffer = bytearray()
        async for chunk in self._response.aiter_bytes():
            buffer += chunk
            while len(buffer) >= _HEAD_BYTES:
                length = int.from_bytes(buffer[1:_HEAD_BYTES], "big")
                if length > bounds.MESSAGE_BYTES:
                    raise httpx2.RemoteProtocolError("this is no grpc-web")
                if len(buffer) < _HEAD_BYTES + length:
                    break
                flags, content = buffer[0], bytes(buffer[_HEAD_BYTES : _HEAD_BYTES + length])
                del buffer[: _HEAD_BYTES + length]
                if flags & _TRAILERS:
                    self._take_trailers(content)
                else:
                    self.begun = True
                    yield content

    def _take_trailers(self, content: bytes) -> None:
        for line in content.decode("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            self.headers[name.strip()] = value.strip()
        self.complete = bool(self.code)

    def failure(self, after: float) -> CallFailed:
        """Why a stream ended so.

        Args:
            after: how many seconds after its beginning.
        """
        if self.http != http.HTTPStatus.OK and not self.code:
            return Refused(f"HTTP {self.http}", "", by_dyad=False)
        if not self.is_grpc_web:
            return Refused(f"HTTP {self.http}", "the answer is no grpc-web", by_dyad=False)
        if not self.complete or (self.begun and not self.by_dyad):
            return Cut(after)
        return Refused(self.code, self.message, by_dyad=self.by_dyad)


class Browser:
    """Requests to one URL, as a page of `origin` makes them. It begins with `async with`.

    Attributes:
        url: the URL.
        origin: of the page; empty for the URL's own.
    """

    def __init__(self, url: str, origin: str, ca: str) -> None:
        """Reach `url`; for `ca` see `certificates.trusting`."""
        self.url = url
        self.origin = origin
        self._context = trusting(ca)
        self._client = self._new_client()

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def ask(self, method: str, request: bytes, *headers: tuple[str, str]) -> Answer:
        """An RPC, to its end or for at most `ANSWER_SECONDS`.

        Raises:
            CallFailed: there is no answer.
        """
        async with (
            self._in_time(method),
            self._post(self._client, method, request, headers) as answer,
        ):
            async for _ in answer.messages():
                pass
            return answer

    @asynccontextmanager
    async def stream(
        self, method: str, request: bytes, *headers: tuple[str, str]
    ) -> AsyncIterator[Answer]:
        """Begin an RPC that lasts; yields its answer once its headers have come.

        It has a connection of its own: where three streams share one, httpcore2 2.16 lets one
        wait for the data of another.

        Raises:
            httpx2.HTTPError: there is no connection, or it broke.
        """
        async with (
            self._new_client() as own,
            self._post(own, method, request, headers) as answer,
        ):
            yield answer

    async def preflight(self, method: str, asked: Sequence[str]) -> tuple[int, Mapping[str, str]]:
        """Ask whether a page may send a method these headers; returns status and headers.

        Raises:
            CallFailed: there is no answer.
        """
        headers = {
            "origin": self.origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": ",".join(sorted(asked)),
        }
        async with self._in_time("the preflight"):
            answer = await self._client.options(self._method_url(method), headers=headers)
            return answer.status_code, answer.headers

    @asynccontextmanager
    async def _post(
        self,
        client: httpx2.AsyncClient,
        method: str,
        request: bytes,
        headers: Sequence[tuple[str, str]],
    ) -> AsyncIterator[Answer]:
        named = [("content-type", CONTENT_TYPE), ("x-grpc-web", "1"), *headers]
        named += [("origin", self.origin)] if self.origin else []
        body = b"\0" + len(request).to_bytes(_HEAD_BYTES - 1, "big") + request
        url = self._method_url(method)
        async with client.stream("POST", url, content=body, headers=named) as response:
            # A copy, which takes the trailers too.
            own = httpx2.Headers(response.headers)
            yield Answer(response.status_code, own, _response=response)

    @asynccontextmanager
    async def _in_time(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(bounds.ANSWER_SECONDS):
                yield
        except TimeoutError:
            within = f"within {bounds.ANSWER_SECONDS:.0f} s"
            raise Away(f"there is no answer to {what} {within}") from None
        except httpx2.HTTPError as failure:
            raise Away(f"{type(failure).__name__} {failure}".strip()) from None

    def _method_url(self, method: str) -> str:
        return f"{self.url}/dyad.v1.Signaling/{method}"

    def _new_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            http2=True, verify=self._context, timeout=_TIMEOUT, trust_env=False
        )


class WebSide:
    """A participant that speaks `Listen` and `Send`; a `call.Side`."""

    def __init__(self, browser: Browser, token: str, clock: Clock) -> None:
        self._browser = browser
        self._authorization = ("authorization", f"Bearer {token}")
        self._clock = clock
        self._session = ""
        self._room_id = ""
        self._sent = self._heard = 0
        self._frames: asyncio.Queue[pb.Frame] = asyncio.Queue()
        self._opened = asyncio.Event()
        self._listening: asyncio.Task[CallFailed] | None = None
        # Parallel requests may overtake each other.
        self._one_by_one = asyncio.Lock()

    async def enter(self, room_id: str) -> str:
        """See `call.Side.enter`."""
        self._listening = asyncio.create_task(self._listen(), name="dyad-doctor-listen")
        await self._unless_ended(self._opened.wait(), "The first message of a Listen")
        await self._send(pb.Frame(room_id=room_id, join_room=pb.JoinRoom()))
        frame = await self._next("The answer to join_room", "join_room")
        self._room_id = frame.room_id
        return self._room_id

    async def send(self, text: str, *, answer: bool) -> None:
        """See `call.Side.send`."""
        said = pb.SessionDescription(sdp=text)
        if answer:
            await self._send(pb.Frame(room_id=self._room_id, answer=said))
        else:
            await self._send(pb.Frame(room_id=self._room_id, offer=said))

    async def receive(self) -> str:
        """See `call.Side.receive`."""
        frame = await self._next("An offer or answer of the peer", "offer", "answer")
        return frame.offer.sdp if frame.HasField("offer") else frame.answer.sdp

    async def hold(self, seconds: float) -> None:
        """Wait, and answer heartbeats meanwhile.

        Raises:
            CallFailed: the `Listen` ended.
        """
        if self._listening is not None:
            ended, _ = await asyncio.wait({self._listening}, timeout=seconds)
            if ended:
                raise self._listening.result()

    async def close(self) -> None:
        """See `call.Side.close`."""
        if self._listening is None:
            return
        try:
            if self._room_id and not self._listening.done():
                await self._send(pb.Frame(room_id=self._room_id, leave_room=pb.LeaveRoom()))
        finally:
            self._listening.cancel()
            await asyncio.wait({self._listening})

    async def _listen(self) -> CallFailed:
        """Read until the end; returns why it ended."""
        began = self._clock.monotonic()
        answer: Answer | None = None
        try:
            request = pb.ListenRequest().SerializeToString()
            async with self._browser.stream("Listen", request, self._authorization) as answer:
                async for message in answer.messages():
                    await self._take(pb.ListenResponse.FromString(message))
        except httpx2.HTTPError as failure:
            if answer is None:
                return Away(f"{type(failure).__name__} {failure}".strip())
        except CallFailed as failure:
            return failure
        except DecodeError:
            return Away("the answer is not Dyad's")
        return answer.failure(self._clock.monotonic() - began)

    async def _take(self, message: pb.ListenResponse) -> None:
        if message.session_id:
            self._session = message.session_id
            self._opened.set()
        elif not message.frames:
            await self._send(pb.Frame(ack=self._heard), numbered=False)
        for frame in message.frames:
            self._heard = max(self._heard, frame.seq)
            self._frames.put_nowait(frame)

    async def _send(self, frame: pb.Frame, *, numbered: bool = True) -> None:
        async with self._one_by_one:
            request = pb.SendRequest(session_id=self._session, frames=[frame])
            if numbered:
                self._sent += 1
                request.frames[0].MergeFrom(pb.Frame(seq=self._sent))
            answer = await self._browser.ask(
                "Send", request.SerializeToString(), self._authorization
            )
        if answer.code != grpc.StatusCode.OK.name:
            raise answer.failure(0.0)

    async def _next(self, what: str, *kinds: str) -> pb.Frame:
        while True:
            frame = await self._unless_ended(self._frames.get(), what)
            kind = frame.WhichOneof("event")
            if kind == "error":
                name = pb.Error.Code.Name(frame.error.code)
                raise Refused(name, frame.error.message, by_dyad=True)
            # The peer's own join is announced with the same event.
            if kind in kinds and (kind != "join_room" or frame.reply_to):
                return frame

    async def _unless_ended(self, coming: Coroutine[Any, Any, T], what: str) -> T:
        """Wait for what comes on `Listen`, within a time limit."""
        if self._listening is None:
            raise RuntimeError("`enter` comes first")
        waiting = asyncio.ensure_future(coming)
        both: set[asyncio.Future[Any]] = {waiting, self._listening}
        try:
            await asyncio.wait(
                both, timeout=bounds.ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting.done():
                return waiting.result()
            if self._listening.done():
                raise self._listening.result()
            raise HeldBack(what)
        finally:
            waiting.cancel()
