"""TLS and mTLS with certificates made for the test."""

import asyncio
from pathlib import Path

import grpc
import pytest
from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.server import Server

from tests.conftest import SECRET, serving, token
from tests.support.certificates import certificate
from tests.support.ends import SignalEnd, join
from tests.support.process import dyad_serve
from tests.support.until import PATIENCE


async def created(server: Server, credentials: grpc.ChannelCredentials) -> str:
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        alice = SignalEnd(channel, token())
        try:
            await alice.send(join())
            return (await alice.hear()).room_id
        finally:
            alice.cut()


async def test_tls_carries_a_call(tmp_path: Path) -> None:
    own = certificate(tmp_path, "server")
    async with serving(tls_cert=own.cert, tls_key=own.key) as server:
        assert await created(server, grpc.ssl_channel_credentials(own.read()[1]))


async def test_mtls_accepts_only_a_client_with_a_certificate(tmp_path: Path) -> None:
    own, client = certificate(tmp_path, "server"), certificate(tmp_path, "client")
    settings = {"tls_cert": own.cert, "tls_key": own.key, "tls_client_ca": client.cert}
    async with serving(**settings) as server:
        trusted = own.read()[1]
        assert await created(server, grpc.ssl_channel_credentials(trusted, *client.read()))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await created(server, grpc.ssl_channel_credentials(trusted))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_handshakes_that_fail_write_nothing_to_the_log(tmp_path: Path) -> None:
    own = certificate(tmp_path, "server")
    async with dyad_serve(SECRET, "--tls-cert", own.cert, "--tls-key", own.key) as served:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            # The server closes the connection.
            async with asyncio.timeout(PATIENCE):
                await reader.read()
            writer.close()
        served.process.terminate()
        assert await served.command.ended() == 0
    assert all(" dyad " in line for line in served.command.said.splitlines())


@pytest.mark.parametrize("broken", ["missing", "nonsense"])
async def test_unusable_tls_files_are_refused_with_a_sentence(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "file"
    if broken == "nonsense":
        path.write_text("nonsense")
    server = Server(Config(port=0, jwt_secret=SECRET, tls_cert=str(path), tls_key=str(path)))
    with pytest.raises(ConfigError, match="tls"):
        await server.start()
    await server.stop()
