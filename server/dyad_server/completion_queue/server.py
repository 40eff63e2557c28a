"""A server whose RPCs complete on the queue of a `QueueEventLoop`."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

from dyad_server.completion_queue import bounds
from dyad_server.completion_queue.rpc import Rpc
from dyad_server.grpc_api.rpc_stream import Handler, Methods


class QueueServer:
    """An `RpcServer`. RPCs of unknown methods end with UNIMPLEMENTED, whatever their path."""

    def __init__(self, queue: Any, options: Sequence[tuple[str, int]]) -> None:
        """Serve on `queue`, with these channel arguments."""
        self._queue = queue
        self._server = cygrpc.Server([(key.encode(), value) for key, value in options], xds=False)
        self._server.register_completion_queue(queue)
        self._methods: dict[bytes, Handler] = {}
        self._stopping = False
        self._stopped = asyncio.Event()

    @property
    def services(self) -> list[str]:
        """See `RpcServer`."""
        return sorted({path.decode().split("/")[1] for path in self._methods})

    def add(self, methods: Methods) -> None:
        """See `RpcServer`."""
        self._methods.update((path.encode(), handle) for path, handle in methods.items())

    def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """See `RpcServer`."""
        own = None if credentials is None else credentials._credentials  # type: ignore[attr-defined]  # noqa: SLF001 - as `grpc.server` does
        port: int = self._server.add_http2_port(address.encode(), own)
        if not port:
            raise RuntimeError(f"cannot listen on {address}")
        return port

    async def start(self) -> None:
        """See `RpcServer`."""
        self._server.start(backup_queue=False)
        for _ in range(bounds.BEGINNINGS):
            self._request()

    async def stop(self, seconds: float | None) -> None:
        """See `RpcServer`."""
        if not self._stopping:
            self._stopping = True
            self._server.shutdown(self._queue, lambda _: self._stopped.set())
        try:
            async with asyncio.timeout(seconds or 0):
                await self._stopped.wait()
        except TimeoutError:
            self._server.cancel_all_calls()
            await self._stopped.wait()
        self._server.destroy()

    def _request(self) -> None:
        if self._stopping:
            return
        self._server.request_call(self._queue, self._queue, self._accept)

    def _accept(self, event: Any) -> None:
        if not event.success:
            return
        rpc = Rpc(event.call, event.invocation_metadata)
        if self._stopping:
            rpc.end(grpc.StatusCode.UNAVAILABLE, "The server is going away.")
            return
        # Not at once, or any number of RPCs could begin in a turn.
        asyncio.get_running_loop().call_soon(self._request)
        handle = self._methods.get(event.call_details.method)
        if handle is None:
            rpc.end(grpc.StatusCode.UNIMPLEMENTED, "There is no such method.")
        else:
            rpc.handle(handle)
