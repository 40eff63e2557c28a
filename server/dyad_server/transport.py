"""How RPCs are served: on `grpc.aio`, or with less CPU on gRPC's completion queue."""

from dyad_server import grpc_environment  # noqa: F401  # isort: skip - before grpc is imported

import asyncio
import functools
from collections.abc import Callable
from typing import NamedTuple

from dyad_server.ops.logs import log
from dyad_server.server import MakeRpcServer


class Transport(NamedTuple):
    """What serves RPCs.

    Attributes:
        loop: the event loop to run in.
        make_rpc_server: for `Server`; None: `grpc.aio`.
    """

    loop: asyncio.AbstractEventLoop
    make_rpc_server: MakeRpcServer | None


def choose(wanted: str, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Transport:
    """Choose what serves RPCs in this process.

    Args:
        wanted: `aio`, or `auto`: the completion queue, unless this grpcio fails a trial.
        new_loop: makes the event loop for `grpc.aio`.
    """
    if wanted == "auto":
        try:
            from dyad_server.completion_queue.loop import new_queue_event_loop  # noqa: PLC0415 - private parts of grpcio: any import may fail
            from dyad_server.completion_queue.server import QueueServer  # noqa: PLC0415 - as above

            loop = new_queue_event_loop()
        except Exception as error:  # noqa: BLE001 - whatever grpcio does, there is another way
            log.warning("serving on grpc.aio, with more CPU: %s: %s", type(error).__name__, error)
        else:
            return Transport(loop, functools.partial(QueueServer, loop.queue))
    return Transport(new_loop(), None)
