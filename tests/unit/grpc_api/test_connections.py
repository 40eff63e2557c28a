"""When a process checks its connections. Tests in tests/faults cover the check itself."""

import socket

from dyad_server.grpc_api.client_address import Origin
from dyad_server.grpc_api.connections import AddressBound, accepted

from tests.support.fake_clock import FakeClock

BOUND = 40
SELDOM = 10


def looked_at(accepted_so_far: int, now: float) -> AddressBound:
    """A bound that has found no connection when it looked at that time."""
    bound = AddressBound(Origin([]), 0, BOUND, FakeClock())
    assert bound.due(accepted_so_far, now)
    assert bound.look() == 0
    return bound


def test_no_look_is_due_before_an_address_can_exceed_its_bound() -> None:
    bound = looked_at(1000, 0)
    assert not bound.due(1000 + BOUND, 1)
    assert bound.due(1000 + BOUND + 1, 1)


def test_a_look_is_due_after_a_while_even_without_new_connections() -> None:
    bound = looked_at(1000, 0)
    assert not bound.due(1000, SELDOM - 1)
    assert bound.due(1000, SELDOM)
    assert not bound.due(1000, SELDOM + 1)


def test_a_look_is_always_due_if_the_kernel_does_not_count() -> None:
    bound = looked_at(0, 0)
    assert bound.due(0, 0.25)


def test_the_kernel_counts_connections_as_they_are_accepted() -> None:
    before = accepted()
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(3):
            with socket.create_connection(server.getsockname()):
                server.accept()[0].close()
    assert accepted() >= before + 3
