"""The settings and the files that they name, as `dyad check` sees them."""

from collections.abc import Iterable, Iterator

from dyad_server.doctor.findings import Finding, error, ok, warning


def findings(errors: Iterable[str], warnings: Iterable[str]) -> Iterator[Finding]:
    """Turn the sentences of `check.examine` into findings.

    Args:
        errors: sentences with which no server starts.
        warnings: other sentences.
    """
    found = [error("settings", sentence) for sentence in errors]
    found += [warning("settings", sentence) for sentence in warnings]
    yield from found or [ok("settings", "The settings are good.")]
