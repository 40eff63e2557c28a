"""An issuer with a key set, and a verifier that fetches it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from dyad_server.auth.jwks import Jwks
from dyad_server.auth.verifier import Verifier
from dyad_server.ops.clock import LoopClock

from tests.support.fake_clock import FakeClock
from tests.support.issuer import Issuer, eddsa, es256, issuing, rs256

OLD, NEW, OTHER = es256("old"), es256("new"), eddsa("other")
RSA = rs256("rsa")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing(OLD) as at:
        yield at


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def keys(issuer: Issuer, clock: FakeClock) -> AsyncIterator[Jwks]:
    made = Jwks(issuer.url, clock)
    yield made
    issuer.open.set()
    await made.fetch()


@pytest.fixture
def verifier(keys: Jwks) -> Verifier:
    return Verifier(keys, LoopClock())
