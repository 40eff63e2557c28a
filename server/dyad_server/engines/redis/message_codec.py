"""Typed messages as plain maps, for nodes of different versions.

A map may have fields that this version does not know: they are ignored. A field with a
default may be missing. A kind or a value that this version does not know raises
`NotUnderstood`, so that the caller can answer it instead of losing it.
"""

import logging
import types
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgpack

from dyad_server.engines.redis import bounds
from dyad_server.log_line import Line

log = logging.getLogger("dyad.messages")

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

_KIND = "kind"
Map = dict[str, Any]
"""A message as plain data. Nested in another one, it may be of any version."""


class NotUnderstood(Exception):  # noqa: N818 - it says what is wrong with the message
    """A message of a version that this one does not understand.

    Attributes:
        what: the kind or the field, for the log. Never a value.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def log_not_understood(subject: str, what: str) -> None:
    """Log that a message was not understood, and `what` of it: see `NotUnderstood`."""
    log.warning(Line(f"{subject} was not understood", what=what[: bounds.LOGGED_CHARACTERS]))


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How the values of one type are written and read.

    Attributes:
        write: makes plain data.
        read: undoes that; raises `NotUnderstood`.
    """

    write: Callable[[T], Any]
    read: Callable[[Any], T]

    def pack(self, value: T) -> bytes:
        """A value as bytes."""
        packed: bytes = msgpack.packb(self.write(value))
        return packed

    def unpack(self, packed: bytes) -> T:
        """Undo `pack`.

        Raises:
            NotUnderstood: it is of a version that this one does not understand.
        """
        try:
            data = msgpack.unpackb(packed)
        except (ValueError, msgpack.UnpackException):
            raise NotUnderstood("msgpack") from None
        return self.read(data)


def kinds(words: dict[str, type[T]]) -> Form[T]:
    """One of several dataclasses: a map with the word for it, and its fields."""
    forms = {word: record(kind) for word, kind in words.items()}
    writers = {kind: (word, forms[word].write) for word, kind in words.items()}

    def write(value: T) -> Map:
        word, write = writers[type(value)]
        data: Map = write(value)
        data[_KIND] = word
        return data

    def read(data: Any) -> T:
        word = data.get(_KIND) if type(data) is dict else None
        form = forms.get(word) if type(word) is str else None
        if form is None:
            raise NotUnderstood(f"kind {word}" if type(word) is str else "kind")
        return form.read(data)

    return Form(write, read)


_unions: dict[Any, Form[Any]] = {}


def register(union: Any, form: Form[Any]) -> None:
    """Use `form` for the fields of type `union`."""
    _unions[union] = form


def record(kind: type[T]) -> Form[T]:
    """A dataclass: a map of its fields."""
    assert is_dataclass(kind)  # noqa: S101 - a mistake in this package, seen at its import
    hints = get_type_hints(kind)
    forms = {field.name: _form(hints[field.name]) for field in fields(kind)}
    optional = {field.name for field in fields(kind) if field.default is not MISSING}

    def write(value: T) -> Map:
        return {name: form.write(getattr(value, name)) for name, form in forms.items()}

    def read(data: Any) -> T:
        if type(data) is not dict:
            raise NotUnderstood(kind.__name__)
        if missing := forms.keys() - data.keys() - optional:
            raise NotUnderstood(f"{kind.__name__}.{min(missing)} is missing")
        values = {}
        for name in forms.keys() & data.keys():
            try:
                values[name] = forms[name].read(data[name])
            except NotUnderstood as error:
                raise NotUnderstood(f"{kind.__name__}.{name}: {error.what}") from None
        return kind(**values)

    if all(_is_plain(hint) for hint in hints.values()):
        return _fast(kind, {name: get_origin(hint) or hint for name, hint in hints.items()}, read)
    return Form(write, read)


def _fast(kind: type[T], exact: dict[str, Any], read: Callable[[Any], T]) -> Form[T]:
    """The same in a third of the time, for the messages that come with every frame.

    Args:
        kind: a dataclass.
        exact: the types of its fields, which msgpack writes and reads as they are.
        read: the slow way, for data with anything unusual.
    """
    types_ = list(exact.values())

    def write_fast(value: T) -> Map:
        return {name: getattr(value, name) for name in exact}

    def read_fast(data: Any) -> T:
        try:
            values = [data[name] for name in exact]
        except (KeyError, TypeError, IndexError):
            return read(data)
        return kind(*values) if [*map(type, values)] == types_ else read(data)

    return Form(write_fast, read_fast)


def _form(hint: Any) -> Form[Any]:
    origin = get_origin(hint) or hint
    if _is_plain(hint):
        form = _plain(origin)
    elif hint in _unions:
        form = _unions[hint]
    elif origin is list:
        form = _list(_form(get_args(hint)[0]))
    elif isinstance(hint, types.UnionType):
        (other,) = (each for each in get_args(hint) if each is not types.NoneType)
        form = _optional(_form(other))
    else:
        assert isinstance(hint, type)  # noqa: S101 - the same
        form = record(hint) if is_dataclass(hint) else _enum(hint)
    return form


def _is_plain(hint: Any) -> bool:
    """Whether msgpack writes and reads it as it is. Types are exact: True is no number."""
    return hint in (str, bytes, int, bool, Map, list[Any])


def _same(value: T) -> T:
    return value


def _plain(kind: type[T]) -> Form[T]:
    def read(data: Any) -> T:
        if type(data) is not kind:
            raise NotUnderstood(f"no {kind.__name__}")
        value: T = data
        return value

    return Form(_same, read)


def _list(item: Form[T]) -> Form[list[T]]:
    def read(data: Any) -> list[T]:
        if type(data) is not list:
            raise NotUnderstood("no list")
        return [item.read(each) for each in data]

    return Form(lambda value: [item.write(each) for each in value], read)


def _optional(form: Form[T]) -> Form[T | None]:
    return Form(
        lambda value: None if value is None else form.write(value),
        lambda data: None if data is None else form.read(data),
    )


def _enum(kind: type[E]) -> Form[E]:
    def read(data: Any) -> E:
        try:
            return kind(data)
        except ValueError:
            raise NotUnderstood(f"no {kind.__name__}") from None

    return Form(lambda value: value.value, read)
