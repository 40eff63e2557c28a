"""Dyad's server: `add_to_server` puts it on a `grpc.aio.Server` beside your own services."""

from dyad_server import runtime  # noqa: F401  # isort: skip - before grpc is imported

from typing import TYPE_CHECKING, Any

from dyad_server.config import Config
from dyad_server.errors import ConfigError

if TYPE_CHECKING:
    from dyad_server.app import Dyad, add_to_server, grpc_options

__all__ = ["Config", "ConfigError", "Dyad", "add_to_server", "grpc_options"]


def __getattr__(name: str) -> Any:
    # Late, so that the command can say which dependencies are missing, and
    # the rooms can be tested without a network.
    if name in __all__:
        from dyad_server import app  # noqa: PLC0415 - that is what this function is for

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
