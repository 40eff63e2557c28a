"""A proxy whose servers are gone: it refuses each request, with a page in HTML."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from dyad_server.cli import envoy

from tests.support.ports import free_port
from tests.support.until import PATIENCE

# A client may be cut off before it has the last one, which gRPC reports as UNKNOWN.
_STATUSES = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.METHOD_NOT_ALLOWED,
)
_LASTING = ("Signal", "Listen")


@dataclass
class Front:
    """Envoy, and behind it a web server that knows no gRPC.

    Attributes:
        port: the port that clients connect to, with HTTP/1.1 or HTTP/2.
    """

    port: int
    _refused: int
    _all: asyncio.Event

    async def has_refused_all_ways(self) -> None:
        """Wait until attempts to connect have met every status."""
        async with asyncio.timeout(PATIENCE):
            await self._all.wait()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Refuse the request of this connection."""
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = _STATUSES[self._refused % len(_STATUSES)]
        page = f"<!doctype html><title>{status.value}</title><h1>{status.phrase}</h1>"
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            "content-type: text/html",
            f"content-length: {len(page)}",
            "connection: close",
        ]
        writer.write("\r\n".join([*head, "", page]).encode())
        if request.split()[1].endswith(_LASTING):
            self._refused += 1
        if self._refused == len(_STATUSES):
            self._all.set()
        # Unread bytes would reset the connection, and the answer would be lost.
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


@asynccontextmanager
async def html_front() -> AsyncIterator[Front]:
    front = Front(free_port(), 0, asyncio.Event())
    async with await asyncio.start_server(front.answer, "127.0.0.1", 0) as pages:
        target = pages.sockets[0].getsockname()[1]
        config = json.dumps({"static_resources": _resources(front.port, target)})
        async with envoy.running(config, front.port):
            yield front


def _resources(port: int, target: int) -> dict[str, Any]:
    """Envoy's listener and its cluster, without a setting that Envoy does not require."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "pages"}}]
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{kind}.http.router.v3.Router"},
            }
        ],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "listeners": [{"address": _address(port), "filter_chains": [{"filters": filters}]}],
        "clusters": [
            {
                "name": "pages",
                "load_assignment": {
                    "cluster_name": "pages",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(target)}}]}],
                },
            }
        ],
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
