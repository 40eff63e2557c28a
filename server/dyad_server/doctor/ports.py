"""Whether the ports of the settings are free, and who has those that are not."""

import asyncio
import contextlib
import http.client
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from cryptography import x509

from dyad_server.config import Config
from dyad_server.doctor import bounds
from dyad_server.doctor.certificates import shake_hands
from dyad_server.doctor.findings import Finding, Report, error, ok, quoted, warning
from dyad_server.doctor.native import Target
from dyad_server.grpc_api.servicer import SERVICE
from dyad_server.grpc_api.tls import read_tls_files
from dyad_server.port_trial import try_port

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to listen on
_FREE = ""
_PROBES = ("/livez", "/readyz")


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody listens on a port.

    Attributes:
        dyad: whether it is a Dyad.
        owner: the process; empty if it is not known.
        reasons: why that Dyad is not ready, if it says so.
    """

    dyad: bool
    owner: str = ""
    reasons: str = ""


State = Taken | str
"""Of a port: taken, or why nobody can listen on it; an empty text if it is free."""


Ask = Callable[[str, int], Awaitable[tuple[bool, str]]]
"""Asks whoever listens: is it a Dyad, and why is it not ready?"""


async def look(config: Config, report: Report) -> None:
    """Look at the port for gRPC, and at the one for metrics and probes."""
    served: State = _FREE
    # With port 0 the system picks a free one.
    if config.port:
        served = await _state(config.host, config.port, partial(_speaks_grpc, config))
        report(judge("--port", config.host, config.port, served))
    if not config.metrics_port:
        return
    host, port = config.metrics_host, config.metrics_port
    probed = await _state(host, port, _speaks_http)
    if probed == _FREE and isinstance(served, Taken) and served.dyad:
        report(no_probes(host, port))
    else:
        report(judge("--metrics-port", host, port, probed))


def judge(option: str, host: str, port: int, state: State) -> Finding:
    """Whether a server can listen, or already does.

    Args:
        option: that sets the port.
        host: the address to listen on.
        port: the port.
        state: what was seen.
    """
    address = f"{host}:{port}"
    if isinstance(state, str):
        if state:
            return error(
                "no_such_address",
                f"Nobody can listen on {address}: {quoted(state)}.",
                "Set --host to an address of this machine, and a port above 1023 or the right "
                "to use lower ones.",
            )
        return ok("port_free", f"{address} ({option}) is free.")
    if state.reasons:
        return error(
            "not_ready",
            f"The Dyad on {address} is {quoted(state.reasons)}.",
            "docs/runbook.md says what to look at (DyadNodeNotReady).",
        )
    if state.dyad:
        return ok("port_of_dyad", f"A Dyad listens on {address} ({option}).")
    return error(
        "port_taken",
        f"{address} ({option}) is taken by {state.owner or 'another program'}, which does not "
        "answer as a Dyad with these settings.",
        "If it is a Dyad, give the settings with which it runs; if not, end it, or set another "
        f"{option}.",
    )


def no_probes(host: str, port: int) -> Finding:
    """A Dyad runs here, but without metrics."""
    return warning(
        "health_not_reached",
        f"A Dyad runs here, but nobody listens on {host}:{port} (--metrics-port).",
        "Start it with these settings: probes and Prometheus ask there.",
    )


async def _state(host: str, port: int, ask: Ask) -> State:
    here = _ANY.get(host, host.strip("[]"))
    try:
        async with asyncio.timeout(bounds.CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(here, port)
        writer.close()
    except (OSError, TimeoutError):
        return _bind(here, port)
    dyad, reasons = await ask(here, port)
    return Taken(dyad, await asyncio.to_thread(_owner, port), reasons)


def _bind(host: str, port: int) -> State:
    obstacle = try_port(host, port)
    return _FREE if obstacle is None else obstacle.strerror or str(obstacle)


async def _speaks_grpc(config: Config, host: str, port: int) -> tuple[bool, str]:
    try:
        seen = await asyncio.to_thread(shake_hands, host, port, "", "h2")
    except OSError:
        return False, ""
    if seen.tls:
        # The certificate need not be for this address, so no request would get through.
        own = read_tls_files(config).cert if config.tls_cert else b""
        return own != b"" and seen.certificate == x509.load_pem_x509_certificates(own)[0], ""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    answer = await Target(address, "", tls=False).health(SERVICE)
    return isinstance(answer, int), ""


async def _speaks_http(host: str, port: int) -> tuple[bool, str]:
    try:
        alive, ready = [await asyncio.to_thread(_get, host, port, path) for path in _PROBES]
    except (OSError, http.client.HTTPException):
        return False, ""
    dyad = alive.startswith(("alive", "not alive"))
    return dyad, ready if dyad and ready.startswith("not ready") else ""


def _get(host: str, port: int, path: str) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=bounds.CONNECT_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read(bounds.PAGE_BYTES).decode("utf-8", "replace")


def _owner(port: int) -> str:
    """The process that listens on a port, as far as this user may know."""
    try:
        import psutil  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError:
        return ""
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            listens = each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
            if listens and each.pid:
                return f"{psutil.Process(each.pid).name()} (process {each.pid})"
    return ""
