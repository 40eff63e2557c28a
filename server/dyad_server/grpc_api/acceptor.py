"""A `grpc.aio` server that survives an RPC with an undecodable method path.

grpc.aio accepts all RPCs in one task, which decodes the path of an unknown method. If one
byte of it is not UTF-8, that task fails: gRPC closes the port, while the process stays
alive. Any client can send such a path, without a token. Here, RPCs of unknown methods are
refused before that task sees them. All other methods are registered, so gRPC knows their
paths.

This uses four private parts of grpcio, so pyproject.toml admits 1.85 only. What happens if
a later version changes one of them, as tried with 1.85.3:

- `cygrpc.AioServer`, which `grpc.aio.server` looks up when it is called, and keeps as
  `_server`: else the server is gRPC's own, an undecodable path closes the port again, and
  `services` raises AttributeError.
- `_make_request_call_future`, which is called with None for RPCs of unknown methods: else
  an undecodable path closes the port again.
- `_request_call`, which waits for such an RPC: else the port closes as the server starts.
- `_ServicerContext` and its four arguments: else RPCs of unknown methods get no answer. Each
  write of other RPCs would cost a task more if gRPC's contexts were of another type.

tests/faults/test_wire.py fails in each case. Once gRPC itself survives such a path, this
module can go; its main branch does not yet (November 2026).
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no types

from dyad_server.errors import ConfigError


def make_server(
    options: Sequence[tuple[str, int]],
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> grpc.aio.Server:
    """Make a server with these channel arguments and interceptors."""
    original = cygrpc.AioServer
    cygrpc.AioServer = _Acceptor
    try:
        # Looked up on each use: tracing libraries replace this function to add
        # an interceptor.
        return grpc.aio.server(interceptors=list(interceptors), options=options)
    finally:
        cygrpc.AioServer = original


def services(server: grpc.aio.Server) -> list[str]:
    """The full names of the services of a server from `make_server`."""
    acceptor: _Acceptor = server._server  # type: ignore[attr-defined]  # noqa: SLF001 - `make_server` put it there
    return sorted({method.split("/")[1] for method in acceptor.handlers})


def is_bare(context: object) -> bool:
    """Whether a context is gRPC's own, and not one that an interceptor has wrapped around it."""
    return type(context) is cygrpc._ServicerContext  # noqa: SLF001 - gRPC has no public way


class _Acceptor(cygrpc.AioServer):  # type: ignore[misc]  # as above
    """Accepts RPCs. gRPC awaits one future for each method's next RPC.

    It awaits one more, for the method None, for RPCs of unknown methods. That future never
    completes here: the task behind it refuses these RPCs.

    Attributes:
        handlers: the handler of each method, by path.
    """

    def __init__(self, *args: Any) -> None:
        self.handlers: dict[str, Any] = {}
        super().__init__(*args)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        # Older generated code adds its methods this way. Newer generated code does so
        # too, and then registers the same methods.
        for handler in generic_rpc_handlers:
            methods = getattr(handler, "_method_handlers", None)
            if not isinstance(methods, Mapping):
                raise ConfigError(
                    f"{type(handler).__name__} does not list its methods. Add services with their "
                    "generated function, or with add_registered_method_handlers."
                )
            self.add_registered_method_handlers(methods)

    def add_registered_method_handlers(self, method_handlers: Mapping[str, Any]) -> None:
        new = {}
        for path, handler in method_handlers.items():
            known = self.handlers.get(path)
            if known is None:
                new[path] = handler
            elif known is not handler:
                raise ConfigError(f"{path} is already served. Add each service once.")
        self.handlers |= new
        super().add_registered_method_handlers(new)

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        if method is None:
            return asyncio.get_running_loop().create_task(self._refuse_unknown())
        future: asyncio.Future[Any] = super()._make_request_call_future(method)
        return future

    async def _refuse_unknown(self) -> None:
        refusing: set[asyncio.Task[None]] = set()
        while True:
            call = await self._request_call()
            task = asyncio.get_running_loop().create_task(_refuse(call))
            refusing.add(task)
            task.add_done_callback(refusing.discard)


async def _refuse(call: Any) -> None:
    context = cygrpc._ServicerContext(  # noqa: SLF001 - gRPC has no public way
        call, None, None, asyncio.get_running_loop()
    )
    with contextlib.suppress(grpc.aio.BaseError):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method.")
