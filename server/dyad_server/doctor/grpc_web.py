"""grpc-web as a browser speaks it, on httpx2; `examination` imports it where a URL is given.

No kept library offers grpc-web in Python, and the doctor must see each header itself.
"""

import asyncio
import http
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import grpc
import httpx2

from dyad_server.doctor import bounds
from dyad_server.doctor.call import Away, CallFailed, Cut, Refused
from dyad_server.doctor.certificates import trusting
from dyad_server.grpc_web_format import (
    CONTENT_TYPE,
    HEAD,
    envelope,
    is_trailers,
    parse_trailers,
)

# How long a stream may be silent is up to its caller.
_TIMEOUT = httpx2.Timeout(bounds.CONNECT_SECONDS, read=None)

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
            while len(buffer) >= HEAD.size:
                flags, length = HEAD.unpack_from(buffer)
                if length > bounds.MESSAGE_BYTES:
                    raise httpx2.RemoteProtocolError("this is no grpc-web")
                if len(buffer) < HEAD.size + length:
                    break
                content = bytes(buffer[HEAD.size : HEAD.size + length])
                del buffer[: HEAD.size + length]
                if is_trailers(flags):
                    self.headers.update(parse_trailers(content))
                    self.complete = bool(self.code)
                else:
                    self.begun = True
                    yield content

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
        url = self._method_url(method)
        body = envelope(request)
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
