"""The command `dyad load`: its options, and who calls."""

import argparse
import asyncio
import math
import os
from dataclasses import fields
from pathlib import Path

from dyad_server.cli.extras import needing_tools, new_console
from dyad_server.cli.signing import read_signing
from dyad_server.errors import ConfigError
from dyad_server.load.plan import Plan, Tls
from dyad_server.load.users import ListedUsers, MintedUsers, Users, read_users
from dyad_server.ops.clock import LoopClock
from dyad_server.setting import option

_NUMBERS = {
    "calls_per_second": (float, "N", "calls that start each second, in all processes together"),
    "hold": (float, "SECONDS", "how long each call lasts after its negotiation"),
    "ramp": (float, "SECONDS", "how long the rate grows from zero; a part of --duration"),
    "duration": (float, "SECONDS", "how long calls are started; then all of them hang up"),
    "processes": (int, "N", "processes that make the calls; each uses one core"),
    "max_errors": (float, "PERCENT", "exit status 1 if more calls fail"),
    "max_p99": (float, "MS", "exit status 1 if the p99 of join or of frame relay is higher"),
}
_TEXTS = {
    "ca": ("FILE", "PEM file of a private certificate authority"),
    "cert": ("FILE", "PEM file of a client certificate, for mTLS"),
    "key": ("FILE", "PEM file of its key"),
    "tokens": ("FILE", "file with tokens of many users, one a line, instead of a secret"),
    "metrics_url": (
        "URL",
        "metrics of the server, for its CPU and memory; not needed if it runs on this machine",
    ),
    "plot": ("FILE", "picture to write, .png or .svg"),
    "json": ("FILE", "file to write all figures to"),
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `dyad`."""
    command = commands.add_parser(
        "load",
        help="make many calls to a server, check each frame, and measure",
        description="Make many calls to your own server: two connections, join, offer, answer, "
        "candidates, hang up. Each frame is checked. Tokens are made with DYAD_JWT_SECRET or "
        "DYAD_JWT_SECRET_FILE, which must be the server's, or taken from --tokens. The exit "
        "status is 0 if all thresholds were kept, 1 if not, 2 if the run could not begin, and 130 "
        "after Ctrl-C.",
    )
    command.set_defaults(run=_load)
    command.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="server for native clients; one for each node, if there are several",
    )
    command.add_argument(
        "--url",
        action="append",
        default=[],
        metavar="URL",
        help="grpc-web proxy for browsers; with --target too, both kinds of clients call each "
        "other",
    )
    command.add_argument("--plaintext", action="store_true", help="do without TLS to --target")
    defaults = {each.name: each.default for each in fields(Plan)}
    for name, (kind, metavar, text) in _NUMBERS.items():
        default = defaults[name]
        shown = text if default is None else f"{text}; default {default:g}"
        command.add_argument(option(name), type=kind, metavar=metavar, default=default, help=shown)
    for name, (metavar, text) in _TEXTS.items():
        command.add_argument(option(name), metavar=metavar, default="", help=text)
    command.add_argument("--jwt-secret-file", metavar="FILE", help="file with the server's secret")


def _load(options: argparse.Namespace) -> int:
    plan = Plan(
        targets=tuple(options.target),
        urls=tuple(options.url),
        tls=Tls(plaintext=options.plaintext, ca=options.ca, cert=options.cert, key=options.key),
        plot=options.plot,
        json=options.json,
        metrics_url=options.metrics_url,
        **{name: getattr(options, name) for name in _NUMBERS},
    )
    users = _users(plan, options)
    with needing_tools("load"):
        import uvloop  # noqa: PLC0415 - Windows has none

        from dyad_server.load.run import run  # noqa: PLC0415 - needs an extra

        if plan.plot:
            # Said now, and not after the run.
            import matplotlib as mpl  # noqa: F401, PLC0415 - the same
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(plan, users, LoopClock(), new_console()))


def _users(plan: Plan, options: argparse.Namespace) -> list[Users]:
    """The users of each process."""
    if not options.tokens:
        signing = read_signing(vars(options), os.environ)
        key = signing.keys[0]
        return [
            MintedUsers(
                key.key.decode(),
                kid=key.kid or "",
                hold=plan.hold,
                issuer=signing.issuer,
                audience=signing.audience,
            )
            for _ in range(plan.processes)
        ]
    found = read_users(options.tokens)
    needed = max(math.ceil(2 * plan.calls_at_once), 2 * plan.processes)
    if len(found) < needed:
        raise ConfigError(
            f"--tokens: {Path(options.tokens)} has tokens of {len(found):,} users. "
            f"{plan.calls_per_second:g} calls a second, each held for {plan.hold:g} s, need about "
            f"{needed:,}."
        )
    return [ListedUsers(found[index :: plan.processes]) for index in range(plan.processes)]
