"""TLS as a client sees it: is it there, what does ALPN agree on, is the certificate good."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from dyad_server.doctor import bounds
from dyad_server.doctor.findings import Finding, error, ok, quoted, warning
from dyad_server.grpc_api.bounds import CERTIFICATE_SECONDS

_RENEW = "Renew it. Dyad and Envoy read changed files again; other proxies may need a reload."


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a TLS handshake showed.

    Attributes:
        tls: whether the other side speaks TLS.
        protocol: what ALPN agreed on, such as `h2`; empty if nothing, or without trust.
        distrust: why the certificate is not trusted; empty if it is.
        certificate: the certificate, if there is one.
    """

    tls: bool
    protocol: str = ""
    distrust: str = ""
    certificate: x509.Certificate | None = None


def shake_hands(host: str, port: int, ca: str, *protocols: str) -> Handshake:
    """Connect, and try a TLS handshake. This blocks.

    Args:
        host: name or address.
        port: its port.
        ca: PEM file of the authorities to trust; empty: those of the system.
        protocols: to offer by ALPN.

    Raises:
        OSError: nobody listens there, or there is no answer in time.
        ValueError: the certificate cannot be read.
    """
    context = trusting(ca)
    context.set_alpn_protocols(list(protocols))
    try:
        return _shake_hands(host, port, context)
    except ssl.SSLCertVerificationError as refused:
        # This does not verify it.
        pem = ssl.get_server_certificate((host, port), timeout=bounds.CONNECT_SECONDS)
        certificate = x509.load_pem_x509_certificate(pem.encode())
        distrust = quoted(refused.verify_message)
        return Handshake(tls=True, distrust=distrust, certificate=certificate)
    except (ssl.SSLError, ConnectionResetError):
        return Handshake(tls=False)


def trusting(ca: str) -> ssl.SSLContext:
    """What verifies certificates: with the authorities in the file `ca`, or with the system's."""
    return ssl.create_default_context(cafile=ca or None)


def _shake_hands(host: str, port: int, context: ssl.SSLContext) -> Handshake:
    with socket.create_connection((host, port), timeout=bounds.CONNECT_SECONDS) as connection:
        try:
            secure = context.wrap_socket(connection, server_hostname=host)
        except TimeoutError:
            # Python speaks of a handshake, also where no TLS was to be expected.
            raise TimeoutError("it accepts connections, and then says nothing") from None
        with secure:
            der = secure.getpeercert(binary_form=True)
            certificate = x509.load_der_x509_certificate(der) if der else None
            protocol = secure.selected_alpn_protocol() or ""
            return Handshake(tls=True, protocol=protocol, certificate=certificate)


def judge(address: str, seen: Handshake, now: float) -> Iterator[Finding]:
    """Whether clients accept the certificate.

    Args:
        address: where it was seen.
        seen: the handshake; with TLS.
        now: Unix time.
    """
    if seen.certificate is None:
        yield error("certificate", f"{address} shows no certificate.")
        return
    begins = seen.certificate.not_valid_before_utc
    ends = seen.certificate.not_valid_after_utc
    whose = f"The certificate of {address}"
    if now >= ends.timestamp():
        sentence = f"{whose} expired at {ends:%Y-%m-%d %H:%M} UTC, so no client connects."
        yield error("certificate_expired", sentence, _RENEW)
    elif now < begins.timestamp():
        sentence = f"{whose} is valid only from {begins:%Y-%m-%d %H:%M} UTC on."
        yield error("certificate_early", sentence, "Compare the clocks, or issue it again.")
    elif seen.distrust:
        yield error(
            "certificate_not_trusted",
            f"{whose} is not trusted: {seen.distrust}.",
            "Use a certificate for this name with its whole chain; for an authority of your own, "
            "name its file in --ca.",
        )
    elif ends.timestamp() - now < CERTIFICATE_SECONDS:
        sentence = f"{whose} expires at {ends:%Y-%m-%d %H:%M} UTC."
        yield warning("certificate_ends", sentence, _RENEW)
    else:
        yield ok("certificate", f"{whose} is good until {ends:%Y-%m-%d} UTC.")
