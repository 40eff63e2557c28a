"""An HTTP proxy that opens tunnels (CONNECT), as companies have for what leaves their network."""

import base64
import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class ConnectProxy:
    """The proxy, and what it was asked for.

    Attributes:
        address: `127.0.0.1:port`.
        tunnels: the `host:port` of each tunnel that was opened.
        user: the `user:password` that the proxy asks for; empty: none.
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    proxy.address = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    other = {here: there, there: here}
    with contextlib.suppress(OSError):
        while True:
            for ready in select.select([here, there], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                other[ready].sendall(data)
