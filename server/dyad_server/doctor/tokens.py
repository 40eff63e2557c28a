"""Tokens for the calls: those that were given, or two that the settings' secret signs."""

import base64
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dyad_server.auth.key_ring import secret_keys
from dyad_server.auth.keys import Keys
from dyad_server.auth.mint import mint
from dyad_server.auth.verifier import Verifier
from dyad_server.config import Config
from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds
from dyad_server.doctor.findings import Finding, error, ok, quoted
from dyad_server.errors import Ended


class _Refusal(NamedTuple):
    """Why a token can be refused: parts of the verifier's sentence, a name, and what to do."""

    parts: tuple[str, ...]
    name: str
    advice: str


_REFUSALS = (
    _Refusal(
        ("The app signs with",),
        "wrong_key",
        "Let the app take the secret as it is written, without the end of the line.",
    ),
    _Refusal(
        ("signature", "known key", "no longer accepted", "token's algorithm"),
        "wrong_key",
        "The server checks tokens with another key than the one that signed this one: compare "
        "DYAD_JWT_SECRET_FILE, DYAD_JWT_PUBLIC_KEY or DYAD_JWT_JWKS_URL with the issuer's key, "
        "and with the kid in the token's header.",
    ),
    _Refusal(
        ("token's aud", "claim aud"),
        "wrong_audience",
        "Give --jwt-audience exactly as the issuer writes it into the claim aud.",
    ),
    _Refusal(
        ("token's iss", "claim iss"),
        "wrong_issuer",
        "Give --jwt-issuer exactly as the issuer writes it into the claim iss.",
    ),
    _Refusal(
        ("not valid yet", "expired"),
        "token_time",
        "If the token is fresh, the clocks of the server and of this machine differ: let NTP set "
        "both.",
    ),
    _Refusal(
        ("well-formed",),
        "token_refused",
        "A line of --token-file is one token, without `Bearer`, quotes or line breaks.",
    ),
)


_OPTIONS = {"aud": "--jwt-audience", "iss": "--jwt-issuer"}

_MISREAD: dict[str, Callable[[bytes], bytes]] = {
    "a newline at its end": lambda secret: secret + b"\n",
    "its hex digits decoded": lambda secret: bytes.fromhex(secret.decode()),
    "its base64 decoded": lambda secret: base64.b64decode(secret, b"-_", validate=True),
}
"""How apps misread the secret that they share with the server."""
_HASHES = ("sha256", "sha384", "sha512")


class Tokens:
    """Makes or has the tokens of two different users."""

    def __init__(self, config: Config | None, clock: Clock, given: Sequence[str]) -> None:
        """Use the `given` tokens, or without any the secret in the settings, if there is one.

        Raises:
            ConfigError: the secret is unusable.
        """
        self._clock = clock
        self._given = given
        self._config = config
        signs = config is not None and not (config.jwt_jwks_url or config.jwt_public_key)
        self._keys = secret_keys(config.key_texts()) if config is not None and signs else []

    def pair(self) -> tuple[str, str] | None:
        """A token for each participant of a call, if there are two."""
        if self._given:
            return (self._given[0], self._given[1]) if len(self._given) > 1 else None
        if self._config is None or not self._keys:
            return None
        return self._mint(self._config, "a"), self._mint(self._config, "b")

    async def check(self, config: Config, keys: Keys) -> list[Finding]:
        """Check the given tokens with `keys`, as a server with these settings would."""
        verifier = Verifier(
            keys,
            self._clock,
            issuer=config.jwt_issuer,
            audience=config.jwt_audience,
            token_bytes=config.max_token_bytes,
        )
        if self._keys and not self._given:
            return [own()]
        found = []
        users = set()
        for number, token in enumerate(self._given, 1):
            try:
                verified = await verifier.verify(token)
            except Ended as refused:
                said = str(refused) + _compared(str(refused), token, config)
                said += _misread(token, (each.key for each in self._keys))
                found.append(refusal(f"Token {number} of --token-file is refused", said))
            else:
                found.append(ok("token", f"Token {number} of --token-file is good."))
                users.add(verified.identity.user_id)
        if len(self._given) > len(users) == 1 and all(each.name == "token" for each in found):
            found.append(
                error(
                    "same_user",
                    "All tokens of --token-file are of one user, who would take its own seat.",
                    "Give the tokens of two different users.",
                )
            )
        return found

    def _mint(self, config: Config, side: str) -> str:
        # As `dyad token`: the key that lasts longest signs.
        key = max(self._keys, key=lambda each: each.until)
        return mint(
            key.key.decode(),
            sub=f"dyad-doctor-{side}-{secrets.token_hex(4)}",
            email="",
            ttl=bounds.TOKEN_SECONDS,
            kid=key.kid or "",
            issuer=config.jwt_issuer,
            audience=config.jwt_audience,
            now=self._clock.unix_time(),
        )


def own() -> Finding:
    """The doctor makes the tokens for its calls, so they fit the settings."""
    return ok(
        "own_tokens",
        "The doctor signs its own tokens, which tell nothing about those of your app: after "
        "`unauthenticated`, examine two of these with --token-file.",
    )


def _compared(said: str, token: str, config: Config) -> str:
    """What a token has in `aud` or `iss`, and what the settings want, if that is the reason."""
    wanted = {"aud": config.jwt_audience, "iss": config.jwt_issuer}
    for claim, option in _OPTIONS.items():
        if f"token's {claim} " in said:
            # The verifier has checked its signature, and so its form.
            part = token.split(".")[1]
            has = json.loads(base64.urlsafe_b64decode(part + "=="))[claim]
            return f" It has {has}, and {option} is {wanted[claim]}."
    return ""


def _misread(token: str, keys: Iterable[bytes]) -> str:
    """How the app misread a secret with which it signed this token, if it did."""
    signed, _, signature = token.rpartition(".")
    for secret in keys:
        for how, misread in _MISREAD.items():
            try:
                key = misread(secret)
            except ValueError:
                continue
            made = (hmac.digest(key, signed.encode(), name) for name in _HASHES)
            if signature in (base64.urlsafe_b64encode(each).decode().rstrip("=") for each in made):
                return f" The app signs with the secret of these settings, but with {how}."
    return ""


def refusal(what: str, said: str) -> Finding:
    """A token was refused.

    Args:
        what: which token, and by whom.
        said: the sentence of the verifier.
    """
    sentence = f"{what}: {quoted(said)}."
    for each in _REFUSALS:
        if any(part in said for part in each.parts):
            return error(each.name, sentence, each.advice)
    return error("token_refused", sentence, "docs/howto/tokens.md says what a token needs.")
