"""Reads settings from the command line, from environment variables and from a settings file.

An option overrides a variable, a variable overrides the settings file, and the file overrides
the default. No other module reads settings from the environment.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.files import is_pipe, read_text, read_texts
from dyad_server.setting import check, option, variable

# Kubernetes sets such variables in each pod if there is a Service called `dyad` or `dyad-…`.
_SERVICE_LINK = re.compile(
    r"DYAD_.*(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_.*)?)"
)
_SETTINGS = {setting.name: setting for setting in fields(Config)}
# Names the settings file, so it cannot be in there itself.
_FILE = "config"


def secrets() -> list[str]:
    """The secret settings. Each can also be in a file, whose path is the setting `…_file`."""
    return [name for name, setting in _SETTINGS.items() if setting.metadata.get("secret")]


def load(options: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Settings from the options, else from the environment, else from the settings file.

    Raises:
        ConfigError: values are invalid, variables are unknown, a file cannot be read, or
            settings conflict. It has a sentence for each finding.
    """
    values, wrong = _merged(options, environment)
    try:
        config = Config(**values)
    except ConfigError as error:
        raise ConfigError(*wrong, *error.sentences) from None
    if wrong:
        raise ConfigError(*wrong)
    return config


def signing(
    options: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, str], str, str]:
    """What `dyad token` and `dyad load` need to make tokens that the server accepts.

    Returns:
        The secrets, as `Config.key_texts`, empty if none is set; the required `iss` and `aud`.

    Raises:
        ConfigError: as `load`, but other settings are not looked at.
    """
    values, wrong = _merged(options, environment)
    if wrong:
        raise ConfigError(*wrong)
    claims = values.get("jwt_issuer", ""), values.get("jwt_audience", "")
    for name, value in zip(("jwt_issuer", "jwt_audience"), claims, strict=True):
        check(_SETTINGS[name], value)
    if path := values.get("jwt_secret_file"):
        return read_texts("jwt_secret_file", path), *claims
    text = values.get("jwt_secret")
    if not text:
        return {}, *claims
    check(_SETTINGS["jwt_secret"], text)
    return {"": text}, *claims


def warnings(options: Mapping[str, Any]) -> list[str]:
    """One sentence for each option that works but is unwise."""
    return [
        f"{option(name)} shows the secret to all users of this machine who can list processes. "
        f"Use {option(name + '_file')} or {variable(name)} instead."
        for name in secrets()
        if options.get(name) and (name != "redis" or _has_password(options[name]))
    ]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The settings of one origin, and how names are spelled there."""

    values: dict[str, Any]
    spell: Callable[[str], str]

    def conflicts(self) -> Iterator[str]:
        for name in secrets():
            file = f"{name}_file"
            if self.values.get(name) and self.values.get(file):
                yield f"Set one of {self.spell(name)} and {self.spell(file)}, not both."


def _merged(
    options: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The values that count, and a sentence for each that cannot be used."""
    wrong: list[str] = []
    given = {name: options[name] for name in _SETTINGS if options.get(name) is not None}
    layers = [
        _file_layer(options, environment, wrong),
        _variables(environment, wrong),
        _Layer(given, option),
    ]
    values: dict[str, Any] = {}
    for layer in layers:
        wrong += layer.conflicts()
        for name in secrets():
            # Each form of a secret overrides both forms of an earlier layer.
            if layer.values.get(name) or layer.values.get(f"{name}_file"):
                values.pop(name, None)
                values.pop(f"{name}_file", None)
        values |= layer.values
    try:
        _read_pipes(values)
    except ConfigError as error:
        wrong += error.sentences
    return values, wrong


def _file_layer(
    options: Mapping[str, Any], environment: Mapping[str, str], wrong: list[str]
) -> _Layer:
    path = options.get(_FILE) or environment.get(variable(_FILE))
    values: dict[str, Any] = {}
    if path:
        try:
            values = tomllib.loads(read_text(_FILE, path, once=True))
        except ConfigError as error:
            wrong += error.sentences
        except tomllib.TOMLDecodeError as error:
            wrong.append(f"{option(_FILE)}: {path} is not TOML: {error}.")
    for name in values.keys() - _SETTINGS.keys():
        hint = _hint(name, [*_SETTINGS], str) or "`dyad serve --help` lists them."
        wrong.append(f"{option(_FILE)}: {path}: {name} is not a setting: {hint}")
    return _Layer({name: values[name] for name in values if name in _SETTINGS}, str)


def _variables(environment: Mapping[str, str], wrong: list[str]) -> _Layer:
    known = {variable(name): name for name in [*_SETTINGS, _FILE]}
    values: dict[str, Any] = {}
    for full, text in environment.items():
        # An empty variable counts as not set, so a deployment can pass on all of them.
        if not full.startswith("DYAD_") or not text or _is_link(full, text):
            continue
        name = known.get(full)
        if name is None:
            hint = _hint(full.removeprefix("DYAD_").lower(), [*known.values()], variable)
            wrong.append(f"{full} is not a setting: {hint or '`dyad serve --help` lists them.'}")
        elif name != _FILE:
            try:
                values[name] = _parse(_SETTINGS[name], text)
            except ConfigError as error:
                wrong += error.sentences
    return _Layer(values, variable)


def _hint(name: str, names: list[str], spell: Callable[[str], str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {spell(close[0])}?" if close else ""


def _read_pipes(values: dict[str, Any]) -> None:
    """Read what comes from pipes, so that nobody needs to read them again."""
    named = {f"{name}_file": name for name in secrets()} | {"jwt_public_key": "jwt_public_key"}
    for file, name in named.items():
        path = values.get(file)
        if isinstance(path, str) and "\n" not in path and _is_pipe(path):
            del values[file]
            values[name] = read_text(file, path, once=True)


def _is_pipe(path: str) -> bool:
    try:
        return is_pipe(path)
    except OSError:
        # Reading it will say so.
        return False


def _is_link(name: str, text: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (name.endswith("PORT") and "://" in text)


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
