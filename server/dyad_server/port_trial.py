"""Tries whether a server could listen on a port."""

import socket


def try_port(host: str, port: int) -> OSError | None:
    """Listen there for a moment; returns what prevents it, None if nothing does.

    Args:
        host: a name or an IP address, without brackets.
        port: the port; 0 is always free.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As for the servers: a port that was closed a moment ago is free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        return error
    return None
