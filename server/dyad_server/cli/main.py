"""The command `dyad`: says so if its dependencies are missing, or runs it."""

import sys
from collections.abc import Sequence

_MISSING = "This command needs the server's dependencies: in the checkout, pip install '.[server]'."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `dyad` with these arguments, or the process's own; the exit status."""
    try:
        from dyad_server.cli import commands  # noqa: PLC0415 - one sentence if they are missing
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("dyad"):
            raise
        print(_MISSING, file=sys.stderr)
        return 2
    return commands.run(arguments)
