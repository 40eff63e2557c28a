"""Python clients that the tests connect to a server."""

from typing import Any

import dyad

from tests.conftest import token

ALICE = dyad.Participant("alice", "a@x")
BOB = dyad.Participant("bob", "b@x")


def connect(port: int, who: dyad.Participant, **claims: Any) -> dyad.Connection:
    return dyad.connect(
        f"127.0.0.1:{port}", token(who.user_id, email=who.email, **claims), plaintext=True
    )
