"""An intruder: the tokens, metadata and requests that it sends, and the answers it gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dyad.v1 import signaling_pb2 as pb
from dyad.v1 import signaling_pb2_grpc as pb_grpc
from dyad_server.server import Server

from tests.conftest import SECRET
from tests.support.issuer import rs256, spelled
from tests.support.until import PATIENCE

Error = grpc.aio.AioRpcError
Metadata = tuple[tuple[str, str | bytes], ...]
KEY = rs256()
PEM = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HS256 = {"alg": "HS256", "typ": "JWT"}
LATER = 10**10


def bearer(text: str) -> Metadata:
    return (("authorization", f"Bearer {text}"),)


def hs256(claims: dict[str, Any], **headers: Any) -> str:
    return spelled(HS256 | headers, claims, SECRET.encode())


@asynccontextmanager
async def channel_to(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


async def refusals(channel: grpc.aio.Channel, metadata: Metadata, session: str = "") -> list[Error]:
    """The error of each of the three RPCs."""
    stub: Any = pb_grpc.SignalingStub(channel)
    found = []
    for call in (
        stub.Signal(metadata=metadata).read(),
        stub.Listen(pb.ListenRequest(), metadata=metadata).read(),
        stub.Send(pb.SendRequest(session_id=session), metadata=metadata),
    ):
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Error) as refused:
                await call
        found.append(refused.value)
    return found


def says(error: Error) -> str:
    """Everything that the client is told."""
    return f"{error.details()} {error.initial_metadata()} {error.trailing_metadata()}"
