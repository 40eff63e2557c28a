"""Log lines with fields, as text and as JSON."""

import json
import logging
import sys

from dyad_server.log_line import Line
from dyad_server.ops.logs import JsonFormatter


def record(message: object, *arguments: object, failed: bool = False) -> logging.LogRecord:
    failure = sys.exc_info() if failed else None
    made = logging.LogRecord("dyad.x", logging.WARNING, "x.py", 1, message, arguments, failure)
    made.created = 0.5
    return made


def as_json(message: object, *arguments: object, failed: bool = False) -> dict[str, object]:
    text = JsonFormatter().format(record(message, *arguments, failed=failed))
    assert "\n" not in text
    shown: dict[str, object] = json.loads(text)
    return shown


def test_a_line_shows_its_fields_in_their_order() -> None:
    line = Line("lease regained", seconds=2.5, node="ab", tls=True, room=None)
    assert str(line) == "lease regained seconds=2.5 node=ab tls=yes room=-"


def test_a_value_cannot_look_like_another_field_or_line() -> None:
    assert str(Line("x", a="b c=d")) == 'x a="b c=d"'
    assert str(Line("x", a="b\nERROR y")) == r'x a="b\nERROR y"'
    assert str(Line("x", a="")) == 'x a=""'
    assert str(Line("x", a='"')) == r'x a="\""'
    assert str(Line("x", a="\x1b[31m\u2028b")) == r'x a="\u001b[31m\u2028b"'


def test_a_json_line_has_each_field_as_a_key_of_its_own() -> None:
    assert as_json(Line("lease regained", seconds=2.5, tls=True, room=None)) == {
        "time": "1970-01-01T00:00:00.500Z",
        "level": "warning",
        "logger": "dyad.x",
        "message": "lease regained",
        "seconds": 2.5,
        "tls": True,
        "room": None,
    }


def test_a_line_of_a_library_is_json_too() -> None:
    assert as_json("%s is slow: %d", "it", 7)["message"] == "it is slow: 7"
    try:
        raise ValueError("broken")  # noqa: TRY301 - to have a traceback
    except ValueError:
        shown = as_json("failed", failed=True)
    assert "ValueError: broken" in str(shown["exception"])
    assert as_json("\ud800")["message"] == "\ud800"
