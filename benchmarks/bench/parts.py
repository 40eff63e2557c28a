"""How each process of a server is started."""

import json
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path

from dyad_server.cli import envoy as envoy_file

from benchmarks.bench.servers import (
    BUILD,
    MAIN,
    PEERS,
    ROOT,
    SECRET,
    Part,
    Ports,
    program,
)
from tests.support.ports import free_port

# Limits that one address with thousands of users would meet. None of them saves work. They
# are in the environment, because earlier versions do not have all of them.
_UNLIMITED = {
    "DYAD_MAX_STREAMS": "100000",
    "DYAD_MAX_STREAMS_PER_ADDRESS": "100000",
    "DYAD_MAX_CONNECTIONS_PER_ADDRESS": "100000",
    "DYAD_MAX_STREAMS_PER_CONNECTION": "100000",
    "DYAD_MAX_FRAMES_PER_SECOND": "1000000",
    "DYAD_MAX_BYTES_PER_SECOND": "1000000000",
}


def dyad_part(source: str, python: Path, *options: str) -> Part:
    """Dyad from a folder `server` and options of `dyad serve`, as in "server --log-level error"."""
    folder, *more = shlex.split(source)
    server = Path(folder).resolve()
    # Earlier versions have it in another module.
    project = tomllib.loads((server.parent / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["dyad"].partition(":")
    started = f"import sys; from {module} import {function}; sys.exit({function}())"

    def command(ports: Ports) -> Sequence[str]:
        redis = ["--redis", f"redis://127.0.0.1:{ports['redis']}"] if "redis" in ports else []
        return [
            *(str(python), "-c", started, "serve"),
            *("--port", str(ports[MAIN]), "--metrics-port", str(free_port())),
            *redis,
            *options,
            *more,
        ]

    path = f"{server}:{server.parent / 'clients' / 'python'}"
    environment = {"DYAD_JWT_SECRET": SECRET, "PYTHONPATH": path, **_UNLIMITED}
    return Part(MAIN, command, environment)


def redis(ports: Ports) -> Sequence[str]:
    """Redis that keeps nothing on disk."""
    settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return [program("redis-server"), "--port", str(ports["redis"]), *settings]


def envoy(ports: Ports) -> Sequence[str]:
    """Envoy with the configuration of deploy/, as `dyad dev` runs it."""
    text = envoy_file.render(
        ROOT / "deploy" / "envoy.yaml",
        listen_port=ports["envoy"],
        server_ports=[ports[MAIN]],
        page=ROOT / "benchmarks" / "peers" / "page.html",
    )
    options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"]
    return [program("envoy"), "--config-yaml", text, *options]


def nginx(ports: Ports) -> Sequence[str]:
    """Nginx with a configuration as its documentation of WebSockets shows."""
    template = (PEERS / "nginx.conf").read_text()
    folder = BUILD / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    values = {"PORT": ports["nginx"], "SERVER": ports[MAIN], "FOLDER": folder}
    for name, value in values.items():
        template = template.replace(f"${name}", str(value))
    (folder / "nginx.conf").write_text(template)
    return [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def livekit(ports: Ports) -> Sequence[str]:
    """LiveKit's server with its defaults, on loopback; JSON is YAML too."""
    media = {"udp_port": free_port(), "tcp_port": free_port(), "use_external_ip": False}
    settings = json.dumps({"port": ports[MAIN], "rtc": media})
    reached = ("--bind", "127.0.0.1", "--node-ip", "127.0.0.1")
    return [str(BUILD / "livekit"), "--config-body", settings, *reached]


def centrifugo(ports: Ports) -> Sequence[str]:
    """Centrifugo with a namespace for rooms."""
    settings = str(PEERS / "centrifugo" / "config.json")
    reached = ("--http_server.address", "127.0.0.1", "--http_server.port", str(ports[MAIN]))
    return [str(BUILD / "centrifugo"), "--config", settings, *reached]
