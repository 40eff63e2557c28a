"""The app's JWT, as text or as a function that gives one."""

import inspect
from collections.abc import Awaitable, Callable

import grpc

from dyad.errors import ended

Token = str | Callable[[], str | Awaitable[str]]
"""A JWT, or what gives one each time a stream is opened."""


async def current(token: Token) -> str:
    """The token to use now.

    Raises:
        Unauthenticated: it has characters that no header may have.
        Exception: what the app's function raises.
    """
    given = token if isinstance(token, str) else token()
    text = await given if inspect.isawaitable(given) else given
    if not (text.isascii() and text.isprintable()):
        raise ended(
            grpc.StatusCode.UNAUTHENTICATED, "The token has characters that no header may have."
        )
    return text
