"""Tokens, good and faulty, and a verifier for them."""

import secrets
import time
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dyad_server.auth.keys import secret_key
from dyad_server.auth.verifier import Verifier
from dyad_server.ops.clock import LoopClock

from tests.support.issuer import SigningKey, eddsa, es256, rs256, spelled
from tests.support.keys import only

SECRET = secrets.token_hex(32)
TOMORROW = int(time.time()) + 24 * 3600
GOOD: dict[str, Any] = {"sub": "alice", "email": "a@x", "exp": TOMORROW}
HS256 = {"alg": "HS256", "typ": "JWT"}
KEYS = {"RS256": rs256(), "ES256": es256(), "EdDSA": eddsa()}
ABSENT = object()


def pem(key: SigningKey) -> str:
    public = key.private.public_key()
    text: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def claims(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | changes).items() if value is not ABSENT}


def signed(**changes: Any) -> str:
    return spelled(HS256, claims(**changes), SECRET.encode())


def headed(**changes: Any) -> str:
    header = {name: value for name, value in (HS256 | changes).items() if value is not ABSENT}
    return spelled(header, GOOD, SECRET.encode())


def written(claims_text: str | bytes, header_text: str | bytes = '{"alg":"HS256"}') -> str:
    texts = [
        text if isinstance(text, bytes) else text.encode() for text in (header_text, claims_text)
    ]
    return spelled(texts[0], texts[1], SECRET.encode())


def unsigned(token: str) -> str:
    return token.rpartition(".")[0] + "."


def verifier(**settings: Any) -> Verifier:
    return Verifier(only(secret_key(SECRET)), LoopClock(), **settings)
