"""What `dyad dev --lan` needs: this machine's address, and a certificate for it."""

import datetime as dt
import ipaddress
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dyad_server.cli import bounds
from dyad_server.errors import ConfigError

# Documentation addresses (RFC 5737). Connecting a datagram socket sends nothing: the system
# only chooses the address from which it would.
_SOMEWHERE = ("192.0.2.1", 9)


def own_address() -> str:
    """The IPv4 address of this machine in its network.

    Raises:
        ConfigError: it is in no network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
        except OSError:
            address = "127.0.0.1"
        else:
            address = probe.getsockname()[0]
    if ipaddress.ip_address(address).is_loopback:
        raise ConfigError("--lan: this machine is in no network, so no phone can reach it.")
    return address


def write_certificate(folder: Path, address: str, now: float) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key; returns both paths.

    Args:
        folder: where to write them; only this user should be able to read it.
        address: the IP address that browsers use; `localhost` is good too.
        now: seconds since 1970.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Dyad, for development")])
    start = dt.datetime.fromtimestamp(now, dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(address))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The clock of a phone may be a little behind.
        .not_valid_before(start - dt.timedelta(days=1))
        .not_valid_after(start + dt.timedelta(days=bounds.LAN_CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file
