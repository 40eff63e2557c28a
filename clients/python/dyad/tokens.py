"""The app's JWT, as text or as a function that returns one."""

import inspect
from collections.abc import Awaitable, Callable

import grpc

from dyad.errors import ended

Token = str | Callable[[], str | Awaitable[str]]
"""A JWT, or a function that returns one each time a stream is opened."""


async def current(token: Token) -> str:
    """Return the token to use now.

    Raises:
        Unauthenticated: it has characters that a header must not have.
        Exception: what the app's function raises.
    """
    given = token if isinstance(token, str) else token()
    text = await given if inspect.isawaitable(given) else given
    if not (text.isascii() and text.isprintable()):
        raise ended(
            grpc.StatusCode.UNAUTHENTICATED,
            "The token has characters that a header must not have.",
        )
    return text
