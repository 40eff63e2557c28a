"""Whether the clock of this machine agrees with another one."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from dyad_server.doctor import bounds
from dyad_server.doctor.findings import Finding, error, ok, warning

_ADVICE = (
    "Let NTP set the clocks of both machines (`timedatectl` or `chronyc tracking` shows whether "
    "it does). Times in tokens and certificates are compared with these clocks."
)


def agreement(other: str, ahead: float, uncertain: float) -> Finding:
    """Compare two clocks.

    Args:
        other: whose clock the other one is.
        ahead: how many seconds the other clock is ahead of this machine's.
        uncertain: by how many seconds that may be wrong.
    """
    least = max(0.0, abs(ahead) - uncertain)
    way = "behind" if ahead > 0 else "ahead of"
    off = f"The clock of this machine is {abs(ahead):.0f} s {way} that of {other}."
    if least > bounds.CLOCK_ERROR_SECONDS:
        sentence = f"{off} More than {bounds.CLOCK_ERROR_SECONDS:.0f} s end good tokens early."
        return error("clock_off", sentence, _ADVICE, ahead_s=ahead)
    if least > bounds.CLOCK_WARNING_SECONDS:
        return warning("clock_off", off, _ADVICE, ahead_s=ahead)
    return ok("clock", f"The clock of this machine agrees with that of {other}.", ahead_s=ahead)


def by_date(other: str, date: str, now: float, took: float) -> Iterator[Finding]:
    """Compare with the `Date` header of an answer; nothing if there is no such header.

    Args:
        other: who answered.
        date: the header.
        now: when the answer came, in Unix seconds.
        took: how many seconds the request took.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    # The header is cut to a whole second, and was written some time during the request.
    half = bounds.DATE_SECONDS / 2
    yield agreement(other, theirs + half - (now - took / 2), half + took / 2)
