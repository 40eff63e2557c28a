"""Tries whether this grpcio serves RPCs on a completion queue, and gets what wakes the queue."""

from collections.abc import Callable
from time import time
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

from dyad_server.completion_queue import bounds

# The versions of grpcio with which all tests have passed.
_TRIED = "1.85."
# Another process that starts at the same time must not get the same port.
_OWN_PORT = [(b"grpc.so_reuseport", 0)]
_NO_PROXY = [("grpc.enable_http_proxy", 0)]


class Unfit(Exception):  # noqa: N818 - it names what grpcio is
    """This grpcio does not serve RPCs in this way."""


def waker(queue: Any) -> Callable[[], None]:
    """Make an RPC to a server of its own on `queue`.

    Returns:
        A function that makes `queue.poll` return, from any thread: it starts an empty
        batch of the call of that RPC, which is long over.

    Raises:
        Unfit: this did not work as expected.
    """
    if not grpc.__version__.startswith(_TRIED):
        raise Unfit(f"grpcio {grpc.__version__} was not tried")
    events: list[Any] = []
    server = cygrpc.Server(_OWN_PORT, xds=False)
    server.register_completion_queue(queue)
    # Not on a Unix socket: a container may have no folder that can be written to.
    port = server.add_http2_port(b"127.0.0.1:0", None)
    server.start(backup_queue=False)
    server.request_call(queue, queue, events.append)
    with grpc.insecure_channel(f"127.0.0.1:{port}", _NO_PROXY) as channel:
        asking: Any = channel.unary_unary("/trial")
        answer = asking.future(b"question", timeout=bounds.TRIAL_SECONDS)
        _poll_until(queue, events, 1)
        call = events[0].call
        call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), events.append)
        _poll_until(queue, events, 2)
        question = events[1].batch_operations[0].message()
        call.start_server_batch(
            (
                cygrpc.SendInitialMetadataOperation((), 0),
                cygrpc.SendMessageOperation(question, 0),
                cygrpc.SendStatusFromServerOperation((), 0, "", 0),
                cygrpc.ReceiveCloseOnServerOperation(0),
            ),
            events.append,
        )
        _poll_until(queue, events, 3)
        if answer.result() != b"question":
            raise Unfit("an RPC was answered wrongly")
    server.shutdown(queue, events.append)
    _poll_until(queue, events, 4)
    server.destroy()

    def wake() -> None:
        call.start_server_batch((), _ignore)

    return wake


def _poll_until(queue: Any, events: list[Any], count: int) -> None:
    deadline = time() + bounds.TRIAL_SECONDS
    while len(events) < count:
        event = queue.poll(deadline)
        if event.completion_type != cygrpc.CompletionType.operation_complete:
            raise Unfit("an RPC did not complete")
        event.tag(event)


def _ignore(_: object) -> None:
    pass
