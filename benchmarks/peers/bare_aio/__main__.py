"""A relay of Dyad's contract on grpc.aio, without tokens, limits, numbers or resuming.

It reads the first message of a stream, which joins a room, and answers it. It forwards
every later one as it is.
"""

import asyncio
import os

# As Dyad does: the two must differ in nothing but Dyad's own work.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import uvloop
from dyad.v1 import signaling_pb2

# The two ends of a room; the second is missing until the callee joins.
Writer = Callable[[bytes], Awaitable[None]]
rooms: dict[str, list[Writer]] = {}


def join_answer(request: signaling_pb2.SignalRequest, room: str) -> bytes:
    """The acknowledgement of the join_room in `request`."""
    frame = signaling_pb2.Frame(room_id=room, reply_to=request.frames[0].seq)
    frame.join_room.SetInParent()
    return signaling_pb2.SignalResponse(frames=[frame]).SerializeToString()


async def signal(_request: Any, context: grpc.aio.ServicerContext[Any, bytes]) -> None:
    """One participant."""
    first = await context.read()
    if not isinstance(first, bytes):  # The stream ended first.
        return
    request = signaling_pb2.SignalRequest.FromString(first)
    room = request.frames[0].room_id or str(uuid.uuid4())
    ends = rooms.setdefault(room, [])
    here = context.write
    waiting = list(ends)
    ends.append(here)
    try:
        await here(join_answer(request, room))
        for end in waiting:
            await end(first)
        while isinstance(message := await context.read(), bytes):
            for end in tuple(ends):
                if end is not here:
                    await end(message)
    finally:
        ends.remove(here)
        if not ends:
            del rooms[room]


async def main() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(signal)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("dyad.v1.Signaling", {"Signal": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
    await server.start()
    await server.wait_for_termination()


# The loop of docs/grpcio-loop.patch, for `python -m benchmarks.upstream`.
_LOOPS = {"loop": getattr(grpc.aio, "EventLoop", None), "asyncio": asyncio.SelectorEventLoop}

if __name__ == "__main__":
    loop_factory = _LOOPS.get(os.environ.get("BARE_LOOP", "")) or uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
