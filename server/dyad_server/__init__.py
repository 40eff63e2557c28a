"""Dyad's server. `serving` runs it inside your program, next to your own services."""

from dyad_server import grpc_environment  # noqa: F401  # isort: skip - before grpc is imported

from typing import TYPE_CHECKING, Any

from dyad_server.config import Config
from dyad_server.errors import ConfigError

if TYPE_CHECKING:
    from dyad_server.embedding import RunningServer, serving

__all__ = ["Config", "ConfigError", "RunningServer", "serving"]


def __getattr__(name: str) -> Any:
    # Imported late, so that core can be used without gRPC.
    if name in __all__:
        from dyad_server import embedding  # noqa: PLC0415 - that is what this function is for

        return getattr(embedding, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
