"""An issuer with a key set, and a verifier that fetches it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from dyad_server.auth.jwks import Jwks
from dyad_server.auth.verifier import Verifier

from tests.support.issuer import Issuer, eddsa, es256, issuing, rs256

OLD, NEW, OTHER = es256("old"), es256("new"), eddsa("other")
RSA = rs256("rsa")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing(OLD) as at:
        yield at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[Jwks]:
    made = Jwks(issuer.url, clock=clock)
    yield made
    issuer.open.set()
    await made.fetch()


@pytest.fixture
def verifier(keys: Jwks) -> Verifier:
    return Verifier(keys)
