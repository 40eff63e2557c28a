"""The server's TLS credentials, which can be replaced while it runs."""

from typing import NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.files import read_file
from dyad_server.grpc_api import bounds

_UNFIT = "--tls-cert and --tls-key are not a PEM certificate and its private key."


class TlsFiles(NamedTuple):
    """The content of the files that the settings name."""

    cert: bytes
    key: bytes
    client_ca: bytes | None


def read_tls_files(config: Config) -> TlsFiles:
    """Read the certificate, its key, and the CA of clients' certificates.

    Raises:
        ConfigError: a file cannot be read.
    """
    return TlsFiles(
        read_file("tls_cert", config.tls_cert),
        read_file("tls_key", config.tls_key),
        read_file("tls_client_ca", config.tls_client_ca) if config.tls_client_ca else None,
    )


def check_tls_files(files: TlsFiles) -> None:
    """Check that these are a certificate and its key, and perhaps a CA.

    gRPC itself only reports that it cannot listen, or that a handshake failed.

    Raises:
        ConfigError: they are not.
    """
    try:
        chain = x509.load_pem_x509_certificates(files.cert)
        key = load_pem_private_key(files.key, None)
        of_key, of_cert = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (key.public_key(), chain[0].public_key())
        )
    except Exception as error:
        # The library raises many exceptions here, some of which may quote the key.
        raise ConfigError(_UNFIT) from error
    if of_key != of_cert:
        raise ConfigError("--tls-key is not the private key of the certificate in --tls-cert.")
    if files.client_ca is not None:
        try:
            x509.load_pem_x509_certificates(files.client_ca)
        except ValueError:
            raise ConfigError("--tls-client-ca is not a PEM certificate.") from None


def expiry_warning(files: TlsFiles, now: float) -> str | None:
    """A sentence if the certificate in these checked files expires soon, or is not valid.

    Args:
        files: they passed `check_tls_files`.
        now: Unix time.
    """
    cert = _leaf(files)
    begins, expires = cert.not_valid_before_utc, cert.not_valid_after_utc
    if now < begins.timestamp():
        return f"The certificate in --tls-cert is valid only from {begins:%Y-%m-%d %H:%M} UTC on."
    if now >= expires.timestamp():
        return f"The certificate in --tls-cert expired at {expires:%Y-%m-%d %H:%M} UTC: renew it."
    if now >= expires.timestamp() - bounds.CERTIFICATE_SECONDS:
        return f"The certificate in --tls-cert expires at {expires:%Y-%m-%d %H:%M} UTC: renew it."
    return None


def _leaf(files: TlsFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificates(files.cert)[0]


class Certificates:
    """What the server shows in TLS handshakes. A connection keeps what it began with.

    Attributes:
        expires: when the certificate expires, in Unix seconds; 0 before the first `use`.
    """

    def __init__(self) -> None:
        self.expires = 0.0
        self._next: grpc.ServerCertificateConfiguration | None = None

    def use(self, files: TlsFiles) -> None:
        """Use these files from the next handshake on.

        Raises:
            ConfigError: see `check_tls_files`.
        """
        check_tls_files(files)
        self.expires = _leaf(files).not_valid_after_utc.timestamp()
        self._next = grpc.ssl_server_certificate_configuration(
            [(files.key, files.cert)], root_certificates=files.client_ca
        )

    def credentials(self, *, require_clients: bool) -> grpc.ServerCredentials:
        """What a server listens with; after the first `use`."""
        return grpc.dynamic_ssl_server_credentials(
            self._fetch(),  # type: ignore[arg-type]  # there is one after the first `use`
            self._fetch,  # type: ignore[arg-type]  # grpc's documentation allows None here
            require_clients,
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        # Called for each handshake, in a thread of gRPC's; None: go on with what it has.
        changed, self._next = self._next, None
        return changed
