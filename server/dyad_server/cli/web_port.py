"""`dyad serve --web-port`: a server, and the shipped Envoy in front of it for browsers."""

import asyncio
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

from dyad_server.cli import bounds, envoy, shipped
from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.grpc_api.tls import TlsFiles, check_tls_files, read_tls_files
from dyad_server.log_line import Line
from dyad_server.ops.bounds import EARLY_END_SECONDS, EARLY_ENDS
from dyad_server.ops.clock import LoopClock
from dyad_server.ops.logs import log
from dyad_server.ops.reload import Watched
from dyad_server.server import MakeRpcServer, Server


def missing() -> Iterator[str]:
    """A sentence for each thing that is not installed, and that the port for browsers needs."""
    for find in (envoy.program, shipped.call_page, partial(shipped.envoy_file, tls=False)):
        try:
            find()
        except ConfigError as error:
            yield from (f"--web-port: {sentence}" for sentence in error.sentences)


async def serve(config: Config, make_rpc_server: MakeRpcServer | None) -> None:
    """Serve until a signal stops the server.

    Envoy reaches the server through a Unix socket that only this user can open. It starts again
    if it ends, and is the last to end: it passes on what a drain says.

    Raises:
        ConfigError: as `Server.start`; also if Envoy does not start, or ends again and again.
    """
    with tempfile.TemporaryDirectory(prefix="dyad-") as name:
        folder = Path(name)
        socket = folder / "grpc"
        server = Server(config, make_rpc_server=make_rpc_server, for_proxy=f"unix:{socket}")
        certificate = _certificate(config, server, folder) if config.tls_cert else None
        text = envoy.render(
            shipped.envoy_file(tls=certificate is not None),
            listen_host=_host(config),
            listen_port=config.web_port,
            server_ports=[socket],
            page=shipped.call_page(),
            tls=certificate,
            origins=config.origins(),
            own_origins=False,
        )
        stopping = asyncio.Event()
        keeping = asyncio.create_task(_keep(text, config, stopping), name="dyad-envoy")
        keeping.add_done_callback(lambda _: stopping.set())
        try:
            await server.run(stopping)
            # Meanwhile Envoy passes on the last statuses.
            await asyncio.wait([keeping], timeout=bounds.ENVOY_LINGER_SECONDS)
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
        if not keeping.cancelled():
            keeping.result()


def _certificate(config: Config, server: Server, folder: Path) -> Path:
    """Keep the certificate of the settings in force; returns the file that names it to Envoy."""
    file = folder / "certificate.yaml"
    numbers = count()

    def use(files: TlsFiles) -> None:
        check_tls_files(files)
        # Links, so that no copy of the key stays anywhere; new ones, or Envoy would see no change.
        links = [folder / f"{kind}-{next(numbers)}" for kind in ("cert", "key")]
        for link, path in zip(links, (config.tls_cert, config.tls_key), strict=True):
            link.symlink_to(Path(path).absolute())
        envoy.write_certificate(file, *links)

    read = partial(read_tls_files, config)
    server.watch(Watched("certificate for browsers", read, use))
    return file


async def _keep(text: str, config: Config, stopping: asyncio.Event) -> None:
    """Run Envoy, again and again if it ends.

    Raises:
        ConfigError: it does not start, or ends as soon as it has started.
    """
    clock = LoopClock()
    early = 0
    while not stopping.is_set():
        began = clock.monotonic()
        async with envoy.running(text, config.web_port, _host(config)) as ended:
            log.info(
                Line(
                    "listening for browsers",
                    address=f"{config.bracketed_host()}:{config.web_port}",
                    tls=bool(config.tls_cert),
                    origins=config.web_origins,
                )
            )
            status = await ended()
        if stopping.is_set():
            # It had the same signal as this process.
            return
        log.error(Line("Envoy ended", status=status))
        early = early + 1 if clock.monotonic() - began < EARLY_END_SECONDS else 0
        if early >= EARLY_ENDS:
            raise ConfigError(f"Envoy ends as soon as it starts, with status {status}.")


def _host(config: Config) -> str:
    return "127.0.0.1" if config.host == "localhost" else config.host.strip("[]")
