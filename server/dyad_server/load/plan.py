"""What is asked of a run, checked before anything starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dyad_server.errors import ConfigError
from dyad_server.load import bounds

PLOT_SUFFIXES = (".png", ".svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How native clients and grpc-web clients use TLS.

    Attributes:
        plaintext: the targets have no TLS. The scheme of a URL says it for the URL.
        ca: PEM file of the certificate authority, if it is a private one.
        cert: PEM file of a client certificate, for mTLS.
        key: PEM file of its key.
    """

    plaintext: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The load, and what it must not exceed. Times are seconds.

    Attributes:
        targets: servers for `Signal`, as host:port.
        urls: proxies for `Listen` and `Send`.
        tls: how to use TLS.
        calls_per_second: how many calls start each second, after the ramp.
        hold: how long a call lasts after its negotiation.
        ramp: how long the rate grows.
        duration: how long calls are started, the ramp included.
        processes: how many processes make the calls.
        max_errors: the most calls that may fail, in percent.
        max_p99: the highest p99 of join and relay, in milliseconds; None for any.
        plot: the picture to write, if any.
        json: the file of figures to write, if any.
        metrics_url: the server's metrics, to measure its CPU and memory with.

    Raises:
        ConfigError: a value makes no sense. It has a sentence for each finding.
    """

    targets: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    tls: Tls = Tls()
    calls_per_second: float = 1.0
    hold: float = 5.0
    ramp: float = 0.0
    duration: float = 30.0
    processes: int = 1
    max_errors: float = 0.0
    max_p99: float | None = None
    plot: str = ""
    json: str = ""
    metrics_url: str = ""

    def __post_init__(self) -> None:
        if found := [*self._invalid()]:
            raise ConfigError(*found)

    @property
    def calls_at_once(self) -> float:
        """About how many calls are open at the same time, after the ramp."""
        return self.calls_per_second * min(self.hold + bounds.SETUP_SECONDS, self.duration)

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports that the calls use."""
        return ("Signal",) * bool(self.targets) + ("Listen",) * bool(self.urls)

    def _invalid(self) -> Iterator[str]:
        yield from self._places()
        numbers = {
            "--calls-per-second": (self.calls_per_second, 0.01, bounds.MOST_CALLS_PER_SECOND),
            "--hold": (self.hold, 0, bounds.MOST_SECONDS),
            "--ramp": (self.ramp, 0, bounds.MOST_SECONDS),
            "--duration": (self.duration, 1, bounds.MOST_SECONDS),
            "--processes": (self.processes, 1, bounds.MOST_PROCESSES),
            "--max-errors": (self.max_errors, 0, 100),
        }
        if self.max_p99 is not None:
            numbers["--max-p99"] = (self.max_p99, 0, bounds.MOST_SECONDS)
        for name, (value, least, most) in numbers.items():
            # NaN fails this comparison too.
            if not least <= value <= most:
                yield f"{name} must be {least:g} to {most:,.10g}."
        if self.ramp > self.duration:
            yield "--ramp is part of --duration, and cannot be longer."
        if bool(self.tls.cert) != bool(self.tls.key):
            yield "--cert and --key go together."
        if self.tls.plaintext and (self.tls.ca or self.tls.cert) and not self.urls:
            yield "--plaintext does without TLS, so --ca and --cert have no effect."

    def _places(self) -> Iterator[str]:
        if not self.targets and not self.urls:
            yield "Say where the server is: --target HOST:PORT, --url URL, or both."
        for target in self.targets:
            if "://" in target or ":" not in target:
                yield f"--target is HOST:PORT, not {target}."
        for option, url in [("--url", url) for url in self.urls] + [
            ("--metrics-url", url) for url in (self.metrics_url,) if url
        ]:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                yield f"{option} is http://HOST:PORT or https://HOST:PORT, not {url}."
        if self.plot and Path(self.plot).suffix not in PLOT_SUFFIXES:
            yield f"--plot is a file that ends in {' or '.join(PLOT_SUFFIXES)}: {self.plot}."
        for option, path in (("--plot", self.plot), ("--json", self.json)):
            # Otherwise nobody would know until the run is over.
            if path and not Path(path).absolute().parent.is_dir():
                yield f"{option}: there is no folder {Path(path).absolute().parent}."
