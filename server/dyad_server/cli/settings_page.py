"""Writes docs/settings.md: `python -m dyad_server.cli.settings_page`."""

import sys
from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any

from dyad_server import bounds
from dyad_server.config import Config
from dyad_server.setting import number_range, option

_INTRODUCTION = """\
# Settings

<!-- Generated: `make settings`. The text of each setting is in config.py of the server. -->

Each setting of `dyad serve` can be given in three ways:

- as an option: `--max-streams 5000`. Where a setting is yes or no, `--reflection` and
  `--no-reflection` are the two options.
- as an environment variable: `DYAD_MAX_STREAMS=5000`. Yes and no are also 1 and 0, true and
  false, on and off. An empty variable counts as not set.
- in a settings file: `max_streams = 5000`. It is TOML without tables, where yes and no are
  `true` and `false`. `--config FILE` or `DYAD_CONFIG` names it.

An option overrides a variable, a variable overrides the settings file, and the file overrides
the default. A secret may be given as text or as the name of a file: each overrides the other
where that is set in a weaker place. Relative paths begin in the folder in which the server is
started. A variable `DYAD_…` or a name in the settings file that is no setting is a mistake.

`dyad check`, with the same options, says what is wrong with settings and with the files that
they name. Its exit status is 0 if all is good, 1 if a server would start, but a setting is
probably a mistake, and 2 if it would not start. It makes no connections.

Files of keys and certificates are read again when they change, and on SIGHUP: see
[deploy](../deploy/README.md#keys-and-certificates). Everything else, the settings file too, is
read at the start.

Times are in seconds, sizes in bytes.
"""
# By the first setting of each group, in the order of `Config`.
_HEADINGS = {
    "host": "Address",
    "jwt_secret": "Tokens",
    "redis": "Several nodes",
    "tls_cert": "TLS",
    "web_port": "Browsers",
    "grpc_api": "Operation",
    "max_frame_bytes": "Limits",
    "trusted_proxies": "Proxies",
    "write_timeout": "Times",
}


def page() -> str:
    """The page."""
    return _INTRODUCTION + "".join(f"{line}\n" for line in _tables())


def _tables() -> Iterator[str]:
    for setting in fields(Config):
        if heading := _HEADINGS.get(setting.name):
            yield from ("", f"## {heading}", "")
            yield from ("| option | values | default | what it is |", "| --- | --- | --- | --- |")
        cells = (
            f"`{option(setting.name)}`",
            _values(setting),
            _default(setting),
            setting.metadata["help"].replace("|", "\\|"),
        )
        yield f"| {' | '.join(cells)} |"


def _values(setting: Field[Any]) -> str:
    kind = type(setting.default)
    if kind in (bool, str):
        return "yes, no" if kind is bool else "text"
    least, most = number_range(setting)
    if most in (bounds.LARGEST_NUMBER, bounds.MOST_SECONDS):
        return f"at least {least:g}"
    return f"{least:g} to {_number(setting.name, most)}"


def _default(setting: Field[Any]) -> str:
    default: Any = setting.default
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, str):
        return f"`{default}`" if default else "none"
    return _number(setting.name, default)


def _number(name: str, value: float) -> str:
    if name.endswith("port"):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


if __name__ == "__main__":
    sys.stdout.write(page())
