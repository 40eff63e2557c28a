"""A log line with fields, for people and for programs."""

import json
import re
from typing import Any

_PLAIN = re.compile(r'[^\s"=\\]+')


class Line:
    """What happened, and its fields: `log.info(Line("lease regained", seconds=2.5))`.

    Any handler shows it as `lease regained seconds=2.5`. The JSON lines of `ops.logs` have
    each field as a key of its own.

    Attributes:
        event: what happened, the same words each time.
        fields: what differs.
    """

    __slots__ = ("event", "fields")

    def __init__(self, event: str, /, **fields: Any) -> None:
        self.event = event
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.event, *(f"{k}={_shown(v)}" for k, v in self.fields.items())])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "-" if value is None else str(value)
    # In quotes, no value can look like another field or another line.
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text)
