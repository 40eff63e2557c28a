"""One setting: how it is declared, what it is called, and which values are valid."""

from dataclasses import Field, field
from pathlib import Path
from typing import Any

from dyad_server import bounds
from dyad_server.errors import ConfigError


def setting(
    default: Any, help_text: str, *, least: float | None = None, most: float | None = None
) -> Any:
    """A setting. `least` and `most` bound a number more narrowly than its type does."""
    return field(default=default, metadata={"help": help_text, "least": least, "most": most})


def secret(help_text: str) -> Any:
    """A secret setting: no output shows it, and it can be in a file (`cli.environment`)."""
    return field(default="", metadata={"help": help_text, "secret": True}, repr=False)


def read_file(name: str, path: str) -> bytes:
    """The content of the file that the setting `name` names.

    Raises:
        ConfigError: the file cannot be read, or is larger than 64 KiB.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(bounds.FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{option(name)}: {path}: {error.strerror}.") from None
    except ValueError:
        raise ConfigError(f"{option(name)} is not a valid path.") from None
    if len(content) > bounds.FILE_BYTES:
        raise ConfigError(f"{option(name)}: {path} is larger than {bounds.FILE_BYTES} bytes.")
    return content


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
        _check_text(name, value, several_lines=setting.name == "jwt_public_key")
    elif isinstance(value, int | float) and kind is not bool:
        least, most = _bounds(setting)
        # NaN fails this comparison too.
        if not least <= value <= most:
            unit = " seconds" if kind is float else ""
            raise ConfigError(f"{name} must be {least:g} to {most:,}{unit}.")


def _bounds(setting: Field[Any]) -> tuple[float, float]:
    least: float | None = setting.metadata["least"]
    most: float | None = setting.metadata["most"]
    if isinstance(setting.default, float):
        kinds = bounds.LEAST_SECONDS, bounds.MOST_SECONDS
    else:
        kinds = int(setting.name.startswith("max_")), bounds.LARGEST_NUMBER
    return kinds[0] if least is None else least, kinds[1] if most is None else most


def _check_text(name: str, value: str, *, several_lines: bool) -> None:
    # With a trailing newline in a secret or an audience, no token would be valid.
    if not several_lines and value != value.strip():
        raise ConfigError(f"{name} begins or ends with white space, perhaps a newline.")
    if not several_lines and any(character < " " for character in value):
        raise ConfigError(f"{name} contains control characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name} is not valid Unicode.") from None
