"""The extra `tools`: says plainly if it is not installed, and makes its console."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dyad_server.cli import bounds
from dyad_server.errors import ConfigError, the_extra

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGES = {"aiohttp", "httpx2", "matplotlib", "psutil", "rich"}


@contextmanager
def needing_tools(command: str) -> Iterator[None]:
    """Imports inside may lack the packages of the extra `tools`, which `command` needs.

    Raises:
        ConfigError: one is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PACKAGES:
            raise
        raise ConfigError(
            f"`dyad {command}` needs the package {missing}, which is not installed. "
            f"It comes with {the_extra('tools')}."
        ) from None


def new_console() -> "Console":
    """What prints tables: as wide as the terminal, or as a line of a log file."""
    from rich.console import Console  # noqa: PLC0415 - the extra

    console = Console()
    return console if console.is_terminal else Console(width=bounds.LOG_COLUMNS)
