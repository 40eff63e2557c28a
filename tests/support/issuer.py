"""An app that issues tokens and publishes its keys, on a real HTTP server."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.certificates import Pair
from tests.support.http_server import answering


@dataclass(frozen=True)
class SigningKey:
    """A private key."""

    kid: str | None
    private: Any
    algorithm: str

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as a JWK, with changes; None removes a member."""
        public = jwt.get_algorithm_by_name(self.algorithm).to_jwk(
            self.private.public_key(), as_dict=True
        )
        members = public | {"kid": self.kid, "use": "sig", "alg": self.algorithm} | changes
        return {name: value for name, value in members.items() if value is not None}

    def token(
        self, sub: str = "alice", headers: dict[str, Any] | None = None, exp: int | None = None
    ) -> str:
        claims = {"sub": sub, "exp": int(time.time()) + 600 if exp is None else exp}
        named = {"kid": self.kid} if self.kid is not None else {}
        return jwt.encode(claims, self.private, self.algorithm, headers=named | (headers or {}))


def es256(kid: str | None = None) -> SigningKey:
    return SigningKey(kid, ec.generate_private_key(ec.SECP256R1()), "ES256")


def eddsa(kid: str | None = None) -> SigningKey:
    return SigningKey(kid, ed25519.Ed25519PrivateKey.generate(), "EdDSA")


def rs256(kid: str | None = None, bits: int = 2048) -> SigningKey:
    return SigningKey(kid, rsa.generate_private_key(public_exponent=65537, key_size=bits), "RS256")


def spelled(header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes, secret: bytes) -> str:
    """A token with exactly this header and these claims (or their JSON), signed with HS256."""
    signed = ".".join(
        _base64url(part if isinstance(part, bytes) else json.dumps(part).encode())
        for part in (header, claims)
    )
    signature = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Issuer:
    """The URL of the keys: its answer, which a test may change, and its requests.

    Attributes:
        url: the URL.
        body: the body of the answer.
        status: the status of the answer.
        headers: more headers of the answer.
        pause: seconds before each byte of the answer.
        pause_from: the index of the first byte that comes slowly.
        open: clear it to let requests wait.
        asked: the number of requests.
        user_agent: the `User-Agent` of the last request.
    """

    url: str = ""
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    pause_from: int = 0
    open: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    user_agent: str = ""

    def show(self, *keys: SigningKey) -> None:
        """Answer with these keys."""
        self.body = json.dumps({"keys": [key.jwk() for key in keys]}).encode()
        self.status = 200


@contextmanager
def issuing(*keys: SigningKey, tls: Pair | None = None) -> Iterator[Issuer]:
    """An issuer on 127.0.0.1 that publishes `keys`."""
    issuer = Issuer()
    issuer.show(*keys)
    issuer.open.set()
    count = threading.Lock()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with count:
                issuer.asked += 1
                issuer.user_agent = self.headers.get("User-Agent", "")
            issuer.open.wait()
            head = [f"HTTP/1.0 {issuer.status} said"]
            head += [f"{name}: {value}" for name, value in issuer.headers.items()]
            answer = "\r\n".join([*head, "", ""]).encode() + issuer.body
            at_once = issuer.pause_from if issuer.pause else len(answer)
            try:
                self.wfile.write(answer[:at_once])
                for n in range(at_once, len(answer)):
                    time.sleep(issuer.pause)
                    self.wfile.write(answer[n : n + 1])
            except OSError:
                # The client has not waited for the answer.
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert, tls.key)
    with answering(Answer, context) as address:
        issuer.url = f"http{'s' if tls else ''}://{address}/keys"
        try:
            yield issuer
        finally:
            issuer.open.set()
