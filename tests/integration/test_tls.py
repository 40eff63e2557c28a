"""TLS and mTLS with certificates made for the test."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from dyad_server.app import Server
from dyad_server.config import Config
from dyad_server.errors import ConfigError

from tests.conftest import SECRET, serving, token
from tests.support.ends import SignalEnd, join


@dataclass(frozen=True)
class Pair:
    cert: str
    key: str

    def read(self) -> tuple[bytes, bytes]:
        return Path(self.key).read_bytes(), Path(self.cert).read_bytes()


def certificate(folder: Path, name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names: Sequence[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(signed.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Pair(str(cert_file), str(key_file))


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


async def test_mtls_lets_in_only_a_client_with_a_certificate(tmp_path: Path) -> None:
    own, client = certificate(tmp_path, "server"), certificate(tmp_path, "client")
    settings = {"tls_cert": own.cert, "tls_key": own.key, "tls_client_ca": client.cert}
    async with serving(**settings) as server:
        trusted = own.read()[1]
        assert await created(server, grpc.ssl_channel_credentials(trusted, *client.read()))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await created(server, grpc.ssl_channel_credentials(trusted))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("broken", ["missing", "nonsense"])
async def test_unfit_tls_files_are_said_in_a_sentence(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "file"
    if broken == "nonsense":
        path.write_text("nonsense")
    server = Server(Config(port=0, jwt_secret=SECRET, tls_cert=str(path), tls_key=str(path)))
    with pytest.raises(ConfigError, match="tls"):
        await server.start()
    await server.stop()
