"""grpc-web on the wire, without a client library."""

import asyncio
import http.client
import ssl
import struct
from collections.abc import Mapping
from typing import Self

from google.protobuf.message import Message

from tests.support.until import PATIENCE

_TRAILERS = 0x80


class Call:
    """One RPC over HTTP/1.1: headers, then messages, then trailers."""

    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._answer = answer
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.trailers: dict[str, str] = {}

    @classmethod
    async def begin(
        cls,
        port: int,
        method: str,
        request: Message,
        *,
        token: str,
        origin: str,
        tls: ssl.SSLContext | None = None,
        more: Mapping[str, str] = {},
    ) -> Self:
        """Send a request to the service through the proxy on this port of this machine."""
        body = request.SerializeToString()
        connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            if tls is None
            else http.client.HTTPSConnection("localhost", port, timeout=PATIENCE, context=tls)
        )

        def ask() -> http.client.HTTPResponse:
            connection.request(
                "POST",
                f"/dyad.v1.Signaling/{method}",
                body=b"\0" + struct.pack(">I", len(body)) + body,
                headers={
                    "authorization": f"Bearer {token}",
                    "content-type": "application/grpc-web+proto",
                    "origin": origin,
                    "x-grpc-web": "1",
                    **more,
                },
            )
            return connection.getresponse()

        return cls(connection, await asyncio.to_thread(ask))

    async def read(self) -> bytes | None:
        """The next message; None at the end, when the trailers have arrived."""
        head = await asyncio.to_thread(self._answer.read, 5)
        if not head:
            return None
        kind, length = struct.unpack(">BI", head)
        body = await asyncio.to_thread(self._answer.read, length)
        if not kind & _TRAILERS:
            return body
        for line in body.decode().splitlines():
            name, _, value = line.partition(":")
            self.trailers[name.lower()] = value.strip()
        return None

    def close(self) -> None:
        self._connection.close()
