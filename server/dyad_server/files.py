"""Reads the files and folders that settings name."""

from pathlib import Path

from dyad_server import bounds
from dyad_server.errors import ConfigError
from dyad_server.setting import option


def read_file(name: str, path: str, *, once: bool = False) -> bytes:
    """The content of the file that the setting `name` names.

    Args:
        name: the setting.
        path: the path of the file.
        once: whether it will never be read again. Only then may it be a pipe, because a second
            reader of a pipe would wait forever.

    Raises:
        ConfigError: the file cannot be read, or is larger than 64 KiB.
    """
    try:
        if not once and is_pipe(path):
            raise ConfigError(f"{option(name)}: {path} is a pipe: put it into a file.")
        with Path(path).open("rb") as file:
            content = file.read(bounds.FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{option(name)}: {path}: {error.strerror}.") from None
    except ValueError:
        raise ConfigError(f"{option(name)} is not a valid path.") from None
    if len(content) > bounds.FILE_BYTES:
        raise ConfigError(f"{option(name)}: {path} is larger than {bounds.FILE_BYTES} bytes.")
    return content


def read_text(name: str, path: str, *, once: bool = False) -> str:
    """The text in the file that the setting `name` names, without newlines at its end.

    Args:
        name: the setting.
        path: the path of the file.
        once: as for `read_file`.

    Raises:
        ConfigError: as `read_file`; also if the file is empty, or is not UTF-8.
    """
    try:
        text = read_file(name, path, once=once).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{option(name)}: {path} is not UTF-8 text.") from None
    text = text.rstrip("\r\n")
    if not text:
        raise ConfigError(f"{option(name)}: {path} is empty.")
    return text


def read_texts(name: str, path: str) -> dict[str, str]:
    """The text of a file, under an empty name, or of each file of a folder, by file name.

    Names that begin with a dot are passed over: Kubernetes mounts a folder whose files are
    links into a hidden folder, and replaces that folder as a whole.

    Raises:
        ConfigError: as `read_text`, for any of the files; also if there are too many.
    """
    try:
        if not Path(path).is_dir():
            return {"": read_text(name, path)}
        names = sorted(each.name for each in Path(path).iterdir() if each.name[0] != ".")
    except OSError as error:
        raise ConfigError(f"{option(name)}: {path}: {error.strerror}.") from None
    if not names:
        raise ConfigError(f"{option(name)}: the folder {path} is empty.")
    if len(names) > bounds.FILES:
        raise ConfigError(f"{option(name)}: {path} has more than {bounds.FILES} files.")
    return {each: read_text(name, str(Path(path, each))) for each in names}


def is_pipe(path: str) -> bool:
    """Whether this is a pipe, such as the shell's `<(command)`."""
    return Path(path).is_fifo()
