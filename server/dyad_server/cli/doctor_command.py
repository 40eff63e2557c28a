"""`dyad doctor`: its options, and how it shows what it found."""

import argparse
import asyncio
import json
import os
import re
import ssl
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dyad_server.bounds import INTERRUPTED_STATUS
from dyad_server.cli.environment import load, warnings
from dyad_server.cli.extras import needing_tools
from dyad_server.config import Config
from dyad_server.doctor import bounds
from dyad_server.doctor.certificates import trusting
from dyad_server.doctor.findings import Finding, Level, status
from dyad_server.errors import ConfigError
from dyad_server.files import read_text
from dyad_server.ops import logs
from dyad_server.ops.clock import LoopClock

if TYPE_CHECKING:
    from dyad_server.doctor.examination import Patient

_HELP = "examine a deployment: settings, keys, Redis, a server, a proxy, and a call through each"
_DESCRIPTION = (
    "Examine a deployment from outside, with the settings of `dyad serve`. Each finding is a "
    "sentence that says what to do. The exit status is 0 if all is good, 1 with warnings, and 2 "
    "with errors. docs/doctor.md lists the findings."
)
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+):(\d{1,5})")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command, but for the settings that it takes; returns it."""
    command = commands.add_parser("doctor", help=_HELP, description=_DESCRIPTION)
    command.set_defaults(run=_doctor)
    command.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="a running server, as native clients reach it; may be repeated",
    )
    command.add_argument(
        "--url",
        action="append",
        default=[],
        metavar="URL",
        help="a proxy, as a browser reaches it: https://call.example.com; may be repeated",
    )
    command.add_argument(
        "--origin",
        default="",
        metavar="ORIGIN",
        help="where the pages that call come from, to examine CORS: https://app.example.com",
    )
    command.add_argument(
        "--token-file",
        default="",
        metavar="FILE",
        help="two tokens of your app, of different users, one a line; without it, the secret in "
        "the settings signs two",
    )
    command.add_argument(
        "--ca",
        default="",
        metavar="FILE",
        help="PEM file of the authorities to trust for --target and --url, instead of the system's",
    )
    command.add_argument(
        "--hold",
        type=float,
        default=bounds.HOLD_SECONDS,
        metavar="SECONDS",
        help="how long to hold a call through each --url, to see whether it is cut; default "
        f"{bounds.HOLD_SECONDS:.0f}",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    return command


def _doctor(options: argparse.Namespace) -> int:
    """Examine, print, and return the exit status.

    Raises:
        ConfigError: an option is wrong, or packages are missing.
    """
    from dyad_server.doctor import examination  # noqa: PLC0415 - the others start sooner without it

    shown = _Shown(as_json=options.json)
    # What the client tells its log is told as a finding too.
    logs.configure("error", "text")
    try:
        patient = _patient(options)
        asyncio.run(examination.run(patient, LoopClock(), shown.begin, shown.report))
    except KeyboardInterrupt:
        shown.end()
        return INTERRUPTED_STATUS
    return shown.end()


def _patient(options: argparse.Namespace) -> "Patient":
    from dyad_server.doctor.examination import Patient  # noqa: PLC0415 - as in `_doctor`

    for address in options.target:
        if not _ADDRESS.fullmatch(address):
            raise ConfigError(f"--target is not HOST:PORT: {address}.")
    if options.ca:
        _check_authorities(options.ca)
    urls = [_url("--url", url) for url in options.url]
    if urls:
        with needing_tools("doctor --url"):
            import httpx2  # noqa: F401, PLC0415 - the extra
    origin = _url("--origin", options.origin) if options.origin else ""
    given: list[str] = []
    if options.token_file:
        given = read_text("token_file", options.token_file, once=True).split()
        if not given:
            raise ConfigError("--token-file is empty.")
    config: Config | None = None
    wrong: list[str] = []
    try:
        config = load(vars(options), os.environ)
    except ConfigError as error:
        wrong += error.sentences
    return Patient(
        config=config,
        wrong=wrong,
        warned=warnings(vars(options)),
        targets=options.target,
        urls=urls,
        origin=origin,
        given=given,
        ca=options.ca,
        hold=options.hold,
    )


def _check_authorities(path: str) -> None:
    try:
        trusting(path)
    except ssl.SSLError:
        raise ConfigError(f"--ca: {path} is not a PEM file of certificates.") from None
    except OSError as failure:
        raise ConfigError(f"--ca: {path}: {failure.strerror}.") from None


def _url(option: str, text: str) -> str:
    """A URL of http or https without a path."""
    try:
        parts = urlsplit(text)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise ConfigError(f"{option} is not an http or https URL.")
    if re.search(r"\s", text):
        raise ConfigError(f"{option} has white space.")
    if "@" in text or "?" in text or "#" in text:
        raise ConfigError(f"{option} has a login, a query or a fragment: leave it out.")
    return text.rstrip("/")


class _Shown:
    """Shows findings: as lines when they come, or all of them as JSON at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._found: list[tuple[str, Finding]] = []

    def begin(self, area: str) -> None:
        """Say on a terminal what is looked at now."""
        self._progress(f"{area} …")

    def report(self, area: str, finding: Finding) -> None:
        """Show a finding."""
        is_new = not self._found or self._found[-1][0] != area
        self._found.append((area, finding))
        if not self._as_json:
            self._progress("")
            if is_new:
                print(area)
            print(f"  {finding.level.name.lower()} {finding.name}: {finding}", flush=True)
            self._progress(f"{area} …")

    def end(self) -> int:
        """Show the end, and return the exit status."""
        self._progress("")
        result = status([finding for _, finding in self._found])
        if self._as_json:
            print(json.dumps({"status": result, "findings": self._rows()}, indent=2))
        else:
            print(_summary([finding for _, finding in self._found]))
        return result

    def _rows(self) -> list[dict[str, object]]:
        return [
            {
                "area": area,
                "level": finding.level.name.lower(),
                "name": finding.name,
                "sentence": finding.sentence,
                "advice": finding.advice,
                "measured": {name: round(value, 3) for name, value in finding.measured.items()},
            }
            for area, finding in self._found
        ]

    @staticmethod
    def _progress(text: str) -> None:
        if sys.stderr.isatty():
            # Over the line before, which the rest of the line clears.
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _summary(found: Sequence[Finding]) -> str:
    errors = sum(each.level == Level.ERROR for each in found)
    warned = sum(each.level == Level.WARNING for each in found)
    if not errors and not warned:
        return "Nothing is wrong."
    counted = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((errors, "error"), (warned, "warning"))
        if number
    ]
    return f"Found: {', '.join(counted)}."
