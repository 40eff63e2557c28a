"""The command `dyad`. If its dependencies are missing, it says so in one sentence."""

import sys
from collections.abc import Sequence

_MISSING = "The server's dependencies are missing. In the checkout: pip install ./clients/python ."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `dyad` with `arguments`, by default the process's, and return the exit status."""
    try:
        from dyad_server.cli import commands  # noqa: PLC0415 - one sentence if they are missing
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("dyad"):
            raise
        print(_MISSING, file=sys.stderr)
        return 2
    return commands.run(arguments)
