"""An HTTP proxy with CONNECT tunnels, as companies use for outgoing connections."""

import base64
import contextlib
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.http_server import answering


@dataclass
class ConnectProxy:
    """The proxy, and the tunnels that clients opened.

    Attributes:
        address: `127.0.0.1:port`.
        tunnels: the `host:port` of each tunnel that was opened.
        user: the `user:password` that the proxy asks for; empty if it asks for none.
    """

    address: str = ""
    tunnels: list[str] = field(default_factory=list)
    user: str = ""


@contextlib.contextmanager
def connect_proxy(user: str = "") -> Iterator[ConnectProxy]:
    """A proxy on 127.0.0.1."""
    proxy = ConnectProxy(user=user)
    expected = f"Basic {base64.b64encode(user.encode()).decode()}" if user else None

    class Tunnel(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.headers.get("Proxy-Authorization") != expected:
                self.send_error(407)
                return
            proxy.tunnels.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                self.send_response_only(200)
                self.end_headers()
                _pass_on(self.connection, there)

        def log_message(self, *args: object) -> None:
            pass

    with answering(Tunnel) as proxy.address:
        yield proxy


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    other = {here: there, there: here}
    with contextlib.suppress(OSError):
        while True:
            for ready in select.select([here, there], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                other[ready].sendall(data)
