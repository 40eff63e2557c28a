"""The server's TLS credentials."""

import ssl

import grpc

from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.setting import read_file


def server_credentials(config: Config) -> grpc.ServerCredentials:
    """The server's certificate, and the CA of its clients' certificates.

    Raises:
        ConfigError: a file is missing or unusable.
    """
    key, cert = read_file("tls_key", config.tls_key), read_file("tls_cert", config.tls_cert)
    client_ca = read_file("tls_client_ca", config.tls_client_ca) if config.tls_client_ca else None
    # With unusable files gRPC only reports that it cannot listen, so check them first.
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        trial.load_cert_chain(config.tls_cert, config.tls_key)
    except ssl.SSLError:
        raise ConfigError(
            "--tls-cert and --tls-key are not a PEM certificate and its private key."
        ) from None
    if client_ca is not None:
        try:
            trial.load_verify_locations(config.tls_client_ca)
        except ssl.SSLError:
            raise ConfigError("--tls-client-ca is not a PEM certificate.") from None
    return grpc.ssl_server_credentials(
        [(key, cert)],
        root_certificates=client_ca,
        require_client_auth=client_ca is not None,
    )
