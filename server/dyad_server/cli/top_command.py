"""The command `dyad top`."""

import argparse
import asyncio

from dyad_server.cli import bounds
from dyad_server.cli.extras import needing_tools, new_console
from dyad_server.errors import ConfigError
from dyad_server.ops.clock import LoopClock


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `dyad`."""
    command = commands.add_parser(
        "top",
        help="show what nodes are doing, from their metrics",
        description="Show what one node or a fleet is doing, from its metrics. Rates and "
        "percentiles are those of the last interval.",
    )
    command.set_defaults(run=_top)
    command.add_argument(
        "urls",
        nargs="+",
        metavar="URL",
        help="metrics of a node, such as http://127.0.0.1:9464/metrics",
    )
    command.add_argument(
        "--interval",
        type=float,
        default=bounds.TOP_INTERVAL_SECONDS,
        metavar="SECONDS",
        help=f"time between two looks; default {bounds.TOP_INTERVAL_SECONDS:g}",
    )
    command.add_argument(
        "--once",
        action="store_true",
        help="look for one interval, print a table, and end; the exit status is 1 if a "
        "node does not answer",
    )


def _top(options: argparse.Namespace) -> int:
    if not bounds.SHORTEST_TOP_SECONDS <= options.interval <= bounds.LONGEST_TOP_SECONDS:
        raise ConfigError(
            f"--interval must be {bounds.SHORTEST_TOP_SECONDS:g} to "
            f"{bounds.LONGEST_TOP_SECONDS:,.0f} seconds."
        )
    with needing_tools("top"):
        from dyad_server.top.run import run  # noqa: PLC0415 - needs an extra
    looking = run(
        options.urls,
        interval=options.interval,
        once=options.once,
        clock=LoopClock(),
        console=new_console(),
    )
    try:
        return asyncio.run(looking)
    except KeyboardInterrupt:
        # That is how people end it.
        return 0
