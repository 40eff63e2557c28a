"""All areas that the doctor looks at, one after the other, each within a time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from dyad_server.auth.keys import Keys
from dyad_server.check import examine
from dyad_server.config import Config
from dyad_server.core.clock import Clock
from dyad_server.doctor import bounds, keys, native, ports, settings
from dyad_server.doctor.findings import Finding, Report, error, quoted
from dyad_server.doctor.tokens import Tokens
from dyad_server.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What to examine.

    Attributes:
        config: the settings; None if they are wrong.
        wrong: what is wrong with them.
        warned: warnings about how they were given.
        targets: running servers, as `host:port`.
        urls: proxies, as a browser names them, without a slash at the end.
        origin: of the pages that call; empty if nobody said.
        given: tokens of the app.
        ca: PEM file of the authorities to trust; empty: those of the system.
        hold: for how many seconds a call through a proxy is held.

    Raises:
        ConfigError: that is too long.
    """

    config: Config | None
    wrong: Sequence[str] = ()
    warned: Sequence[str] = ()
    targets: Sequence[str] = ()
    urls: Sequence[str] = ()
    origin: str = ""
    given: Sequence[str] = ()
    ca: str = ""
    hold: float = bounds.HOLD_SECONDS

    def __post_init__(self) -> None:
        """Check what has bounds."""
        if not 0 <= self.hold <= bounds.LONGEST_HOLD_SECONDS:
            raise ConfigError(f"--hold must be 0 to {bounds.LONGEST_HOLD_SECONDS:,.0f} seconds.")


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the examination.

    Attributes:
        name: what it looks at.
        look: looks.
        seconds: its time limit.
    """

    name: str
    look: Callable[[Report], Awaitable[None]]
    seconds: float = bounds.CHECK_SECONDS


async def run(
    patient: Patient,
    clock: Clock,
    begin: Callable[[str], None],
    report: Callable[[str, Finding], None],
) -> None:
    """Look at all areas.

    Args:
        patient: what to examine.
        clock: of this machine.
        begin: is called with the name of each area when it begins.
        report: receives each finding, and its area's name.
    """
    for area in [*_areas(patient, clock)]:
        begin(area.name)

        def tell(finding: Finding, name: str = area.name) -> None:
            report(name, finding)

        try:
            async with asyncio.timeout(area.seconds):
                await area.look(tell)
        except TimeoutError:
            tell(too_slow(area.seconds))
        except ConfigError as wrong:
            for sentence in wrong.sentences:
                tell(error("settings", sentence))
        except Exception as failure:  # noqa: BLE001 - the other areas still matter
            tell(not_examined(failure))


def too_slow(seconds: float) -> Finding:
    """An area took longer than it may."""
    return error(
        "too_slow",
        f"This took longer than {seconds:.0f} s, and was ended.",
        "The last finding of this area shows how far it got.",
    )


def not_examined(failure: Exception) -> Finding:
    """The doctor itself failed."""
    what = quoted(f"{type(failure).__name__}: {failure}")
    return error(
        "not_examined", f"The doctor itself failed here: {what}.", "Please report it: it is a bug."
    )


def _areas(patient: Patient, clock: Clock) -> Iterator[Area]:
    config = patient.config
    errors, warnings = examine(config, clock.unix_time()) if config else (patient.wrong, [])
    yield Area("settings", _reports(settings.findings(errors, [*patient.warned, *warnings])))
    # What no server can start with, nobody needs to look at again.
    fit = None if errors else config
    tokens = Tokens(fit, clock, patient.given)
    if fit:
        yield Area("keys", _keys(fit, clock, tokens))
        yield Area("ports", partial(ports.look, fit))
        if fit.shares_redis:
            yield Area("redis", _redis(fit, clock))
    asks = config is not None and bool(config.tls_client_ca)
    for address in patient.targets:
        yield Area(address, native.Visit(address, patient.ca, tokens, clock, asks).look)
    for first, second in pairwise(() if asks else patient.targets):
        between = native.Between((first, second), patient.ca, tokens, clock)
        yield Area(f"{first} and {second}", between.look)
    for url in patient.urls:
        from dyad_server.doctor import browser  # noqa: PLC0415 - needs an extra

        visit = browser.Visit(url, patient.origin, patient.ca, patient.hold, tokens, clock)
        yield Area(url, visit.look, bounds.CHECK_SECONDS + patient.hold)


def _reports(findings: Iterator[Finding]) -> Callable[[Report], Awaitable[None]]:
    async def look(report: Report) -> None:
        for each in findings:
            report(each)

    return look


def _keys(config: Config, clock: Clock, tokens: Tokens) -> Callable[[Report], Awaitable[None]]:
    async def look(report: Report) -> None:
        known: Keys | None
        known, found = await keys.look(config, clock)
        found += await tokens.check(config, known) if known else []
        for each in found:
            report(each)

    return look


def _redis(config: Config, clock: Clock) -> Callable[[Report], Awaitable[None]]:
    async def look(report: Report) -> None:
        from dyad_server.doctor import shared_redis  # noqa: PLC0415 - needs an extra

        for each in await shared_redis.look(config, clock):
            report(each)

    return look
