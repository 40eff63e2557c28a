"""The Python client uses TLS unless it is told not to."""

import asyncio
from pathlib import Path

import dyad
import grpc
import pytest

from tests.conftest import serving, token
from tests.support.certificates import certificate
from tests.support.ports import free_port
from tests.support.until import PATIENCE


async def test_a_server_with_tls_is_reached_by_its_authority(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "server")
    trusted = grpc.ssl_channel_credentials(pair.read()[1])
    async with (
        serving(tls_cert=pair.cert, tls_key=pair.key) as server,
        dyad.connect(f"localhost:{server.port}", token(), credentials=trusted) as alice,
        asyncio.timeout(PATIENCE),
    ):
        assert (await alice.create()).room_id


async def test_a_server_in_plain_text_is_not_reached_unless_the_app_says_so() -> None:
    async with serving() as server, asyncio.timeout(PATIENCE):
        target = f"127.0.0.1:{server.port}"
        async with dyad.connect(target, token()) as alice:
            with pytest.raises(dyad.Unavailable, match="plaintext=True"):
                await alice.create()
        assert not len(server.dyad.hub)
        async with dyad.connect(target, token(), plaintext=True) as alice:
            await alice.create()


async def test_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "server")
    async with (
        serving(tls_cert=pair.cert, tls_key=pair.key) as server,
        dyad.connect(f"localhost:{server.port}", token()) as alice,
        asyncio.timeout(PATIENCE),
    ):
        with pytest.raises(dyad.Unavailable, match="CERTIFICATE_VERIFY_FAILED") as refused:
            await alice.create()
        assert "plaintext" not in str(refused.value)


async def test_plain_text_to_a_server_with_tls_says_so(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "server")
    async with (
        serving(tls_cert=pair.cert, tls_key=pair.key) as server,
        dyad.connect(f"localhost:{server.port}", token(), plaintext=True) as alice,
        asyncio.timeout(PATIENCE),
    ):
        with pytest.raises(dyad.Unavailable, match="expects TLS"):
            await alice.create()


async def test_a_server_that_is_not_there_is_not_mistaken_for_one_with_tls() -> None:
    async with dyad.connect(f"127.0.0.1:{free_port()}", token(), plaintext=True) as alice:
        with pytest.raises(dyad.Unavailable, match="refused") as refused:
            await alice.create()
        assert "TLS" not in str(refused.value)


def test_plain_text_with_credentials_is_refused() -> None:
    with pytest.raises(ValueError, match="either"):
        dyad.connect("h:1", "token", plaintext=True, credentials=grpc.ssl_channel_credentials())


@pytest.mark.parametrize("target", ["https://calls.example.com", "http://localhost:50051", ""])
def test_a_url_is_refused_as_target(target: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        dyad.connect(target, "token")
