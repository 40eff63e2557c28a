"""The app's JWT, as text or as a function that returns one."""

import inspect
from collections.abc import Awaitable, Callable

import grpc

from dyad.errors import Unauthenticated

Token = str | Callable[[], str | Awaitable[str | None] | None]
"""A JWT, or a function that returns one each time a stream is opened.

If the function raises, the client tries again while it reconnects: the app's backend may be out of
reach for a moment. If it returns None, because the user is logged out, the client asks once more,
and then ends the call with `Unauthenticated`.
"""


def check(token: object) -> None:
    """Refuse what can be no token.

    Raises:
        TypeError: it is neither text nor a function.
        ValueError: it is empty.
    """
    if not (isinstance(token, str) or callable(token)):
        raise TypeError(
            f"The token must be a str, or a function that returns one, not {_kind(token)}."
        )
    if token == "":
        raise ValueError("The token is empty.")


async def current(token: Token) -> str:
    """Return the token to use now.

    Raises:
        Unauthenticated: the app's function returned None, or something that is no token.
        Exception: what the app's function raises.
    """
    given = token if isinstance(token, str) else token()
    text: object = await given if inspect.isawaitable(given) else given
    if text is None:
        raise _bad("The app's token function returned None: it has no token.")
    if not isinstance(text, str):
        raise _bad(f"The app's token function returned {_kind(text)} instead of a str.")
    if not text:
        raise _bad("The app's token function returned an empty token.")
    if not (text.isascii() and text.isprintable()):
        raise _bad("The token has characters that a header must not have.")
    return text


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _bad(sentence: str) -> Unauthenticated:
    return Unauthenticated(grpc.StatusCode.UNAUTHENTICATED, sentence)
