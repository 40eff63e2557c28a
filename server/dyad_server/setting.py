"""One setting: how it is declared, what it is called, and which values are valid."""

import ipaddress
import re
from dataclasses import Field, field
from typing import Any
from urllib.parse import urlsplit

from dyad_server import bounds
from dyad_server.errors import ConfigError

ORIGIN_FORM = (
    "An origin is a scheme and a host in lower case, and the port unless it is the usual one, "
    "such as http://localhost:8000, and no path."
)
"""What `is_origin` asks for."""
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
# Browsers leave out the usual port, so an origin with it never matches.
_WITH_USUAL_PORT = re.compile("http://.*:80|https://.*:443")


def setting(
    default: Any,
    help_text: str,
    *,
    least: float | None = None,
    most: float | None = None,
    lines: bool = False,
) -> Any:
    """A setting.

    Args:
        default: its value where nothing else is set.
        help_text: what it is for.
        least: the least value of a number, where its type allows less.
        most: the greatest value of a number, where its type allows more.
        lines: a text may have several lines.
    """
    metadata = {"help": help_text, "least": least, "most": most, "lines": lines}
    return field(default=default, metadata=metadata)


def secret(help_text: str, *, lines: bool = False) -> Any:
    """A secret setting: no output shows it. The setting `…_file` can name a file with it."""
    metadata = {"help": help_text, "secret": True, "lines": lines}
    return field(default="", metadata=metadata, repr=False)


def option(name: str) -> str:
    """The command-line option of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"DYAD_{name.upper()}"


def check(setting: Field[Any], value: object) -> None:
    """Check one setting without regard to the others."""
    name, kind = option(setting.name), type(setting.default)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) <= bounds.LARGEST_NUMBER else float("inf")
    if type(value) is not kind:
        kinds = {bool: "yes or no", int: "a whole number", float: "a number", str: "text"}
        raise ConfigError(f"{name} must be {kinds[kind]}.")
    if isinstance(value, str):
        _check_text(name, value, lines=setting.metadata["lines"])
    elif isinstance(value, int | float) and kind is not bool:
        least, most = number_range(setting)
        # NaN fails this comparison too.
        if not least <= value <= most:
            unit = " seconds" if in_seconds(setting) else ""
            raise ConfigError(f"{name} must be {least:g} to {most:,}{unit}.")


def in_seconds(setting: Field[Any]) -> bool:
    """Whether a setting is a time. Other numbers with a fraction are rates."""
    return isinstance(setting.default, float) and not setting.name.endswith("_per_second")


def number_range(setting: Field[Any]) -> tuple[float, float]:
    """The least and the greatest value of a setting that is a number."""
    least: float | None = setting.metadata["least"]
    most: float | None = setting.metadata["most"]
    if isinstance(setting.default, float):
        kinds = bounds.LEAST_SECONDS, bounds.MOST_SECONDS
    else:
        kinds = int(setting.name.startswith("max_")), bounds.LARGEST_NUMBER
    return kinds[0] if least is None else least, kinds[1] if most is None else most


def _check_text(name: str, value: str, *, lines: bool) -> None:
    # With a trailing newline in a secret or an audience, no token would be valid.
    if value != value.strip() and "-----BEGIN" not in value:
        raise ConfigError(f"{name} begins or ends with white space, perhaps a newline.")
    if any(character < " " and not (lines and character in "\r\n") for character in value):
        raise ConfigError(f"{name} contains control characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name} is not valid Unicode.") from None


def is_trusted_url(url: str) -> bool:
    """Whether what comes from this URL comes over TLS, or from this host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not url.isascii():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether only this host can connect to `host`."""
    return host == "localhost" or (
        is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback
    )


def is_address(host: str) -> bool:
    """Whether `host` is an IP address; IPv6 may be in brackets."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_origin(text: str) -> bool:
    """Whether a browser may send this text as the origin of a page."""
    return bool(_ORIGIN.fullmatch(text)) and not _WITH_USUAL_PORT.fullmatch(text)
