"""Reads settings from the command line and from environment variables.

No other module reads settings from the environment.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any
from urllib.parse import urlsplit

from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.setting import option, read_file, variable

# Kubernetes sets such variables in each pod if there is a Service called `dyad` or `dyad-…`.
_SERVICE_LINK = re.compile(
    r"DYAD_.*(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)"
)


def secrets() -> list[str]:
    """The settings that can also be in a file, whose path is the setting `…_file`."""
    return [setting.name for setting in fields(Config) if setting.metadata.get("secret")]


def load(options: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Settings from the options, else from the environment, else the defaults.

    A secret may be in a file: `--jwt-secret-file`, `DYAD_JWT_SECRET_FILE`. A
    newline at the end of the file is not part of the secret.

    Raises:
        ConfigError: a value is invalid, a variable is unknown, a file cannot be
            read, or settings conflict.
    """
    environment = {name: text for name, text in environment.items() if not _is_link(name, text)}
    _check_known(environment)
    values: dict[str, Any] = {}
    for setting in fields(Config):
        value = (
            secret(setting.name, options, environment)
            if setting.metadata.get("secret")
            else options.get(setting.name)
        )
        if value is not None:
            values[setting.name] = value
        elif text := environment.get(variable(setting.name), ""):
            values[setting.name] = _parse(setting, text)
    return Config(**values)


def secret(name: str, options: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """The value of a secret setting, from wherever it is set; None if it is not set.

    Raises:
        ConfigError: it is set twice, or its file cannot be read.
    """
    file = f"{name}_file"
    for text, path, spell in (
        (options.get(name), options.get(file), option),
        # An empty variable counts as not set.
        (
            environment.get(variable(name)) or None,
            environment.get(variable(file)) or None,
            variable,
        ),
    ):
        if text is not None and path is not None:
            raise ConfigError(f"Set one of {spell(name)} and {spell(file)}, not both.")
        if text is not None:
            return str(text)
        if path is not None:
            return _read_secret(file, path)
    return None


def warnings(options: Mapping[str, Any]) -> list[str]:
    """One sentence for each option that works but is unwise."""
    return [
        f"{option(name)} shows the secret to all users of this machine who can list processes. "
        f"Use {option(name + '_file')} or {variable(name)} instead."
        for name in secrets()
        if options.get(name) and (name != "redis" or _has_password(options[name]))
    ]


def _read_secret(name: str, path: str) -> str:
    try:
        text = read_file(name, path).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{option(name)}: {path} is not UTF-8 text.") from None
    text = text.rstrip("\r\n")
    if not text:
        raise ConfigError(f"{option(name)}: {path} is empty.")
    return text


def _check_known(environment: Mapping[str, str]) -> None:
    names = [setting.name for setting in fields(Config)]
    names += [f"{name}_file" for name in secrets()]
    known = {variable(name) for name in names}
    for name, text in environment.items():
        if name.startswith("DYAD_") and name not in known and text:
            close = difflib.get_close_matches(name.removeprefix("DYAD_").lower(), names, n=1)
            hint = (
                f"did you mean {variable(close[0])}?"
                if close
                else "`dyad serve --help` lists them."
            )
            raise ConfigError(f"{name} is not a setting: {hint}")


def _is_link(name: str, text: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (
        name.startswith("DYAD_") and name.endswith("PORT") and "://" in text
    )


def _has_password(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return True


def _parse(setting: Field[Any], text: str) -> Any:
    kind: Any = type(setting.default)
    if kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise ConfigError(f"{variable(setting.name)} is not yes or no: {text}.")
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{variable(setting.name)} is not a number: {text}.") from None
