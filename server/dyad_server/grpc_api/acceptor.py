"""A `grpc.aio` server that a call of an unknown method cannot stop.

grpc.aio 1.85 decodes the path of such a call in the one task that accepts all
calls. A single byte that is no UTF-8, from anybody, without a token, ends that
task: the process lives on and serves nobody new. Here those calls are answered
before that task sees them; the others come registered, their paths known.
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
    """A server with these channel arguments and interceptors."""
    original = cygrpc.AioServer
    cygrpc.AioServer = _Acceptor
    try:
        # The function is looked up now: libraries for tracing replace it by one
        # that adds an interceptor.
        return grpc.aio.server(interceptors=list(interceptors), options=options)
    finally:
        cygrpc.AioServer = original


def services(server: grpc.aio.Server) -> list[str]:
    """The full names of the services that a server from `make_server` has."""
    acceptor: _Acceptor = server._server  # type: ignore[attr-defined]  # noqa: SLF001 - as it was put there
    return sorted({method.split("/")[1] for method in acceptor.handlers})


class _Acceptor(cygrpc.AioServer):  # type: ignore[misc]  # as above
    """What accepts calls: for each method a future stands for its next call, for None an unknown's.

    The one for None never comes to pass.

    Attributes:
        handlers: by the path of their method.
    """

    def __init__(self, *args: Any) -> None:
        self.handlers: dict[str, Any] = {}
        super().__init__(*args)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        # Generated code adds its methods so, and newer generated code registers
        # the same ones after that.
        for handler in generic_rpc_handlers:
            methods = getattr(handler, "_method_handlers", None)
            if not isinstance(methods, Mapping):
                raise ConfigError(
                    f"{type(handler).__name__} does not say which methods it serves. Add services "
                    "by their generated function, or by add_registered_method_handlers."
                )
            self.add_registered_method_handlers(methods)

    def add_registered_method_handlers(self, method_handlers: Mapping[str, Any]) -> None:
        new = {}
        for path, handler in method_handlers.items():
            known = self.handlers.get(path)
            if known is None:
                new[path] = handler
            elif known is not handler:
                raise ConfigError(f"{path} is served already: add each service once.")
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
    context = cygrpc._ServicerContext(  # noqa: SLF001 - gRPC has no other way
        call, None, None, asyncio.get_running_loop()
    )
    with contextlib.suppress(grpc.aio.BaseError):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is no such method.")
