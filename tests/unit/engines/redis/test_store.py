"""The page docs/redis.md, the store and the scripts agree."""

import inspect
import re
from pathlib import Path
from typing import Any, get_type_hints

import dyad_server
import pytest
from dyad_server.core.events import Member
from dyad_server.engines.redis import bounds
from dyad_server.engines.redis.store import Keys, Script, Seal, Store, schema_sentence

from tests.support.redis_page import PAGE, ROWS, named

FOLDER = Path(dyad_server.__file__).parent / "engines" / "redis" / "scripts"
LUA = {path.stem: path.read_text() for path in FOLDER.glob("*.lua")}
SHARED = LUA.pop("shared")
# The arguments that every script gets before its own.
CALLER = 5
EXAMPLES: dict[str, Any] = {
    "member": Member("id", "user"),
    "rooms": [("room", "id", "peer", "node")],
    "nodes": ["node"],
    "token_keys": ["token"],
    "snapshot": b"",
    "life_ms": 1,
    "epoch": 1,
    "create": True,
    "seal": Seal.PUT,
    "polite": True,
    "absent_too_long": True,
}


def script(name: str) -> Script[Any]:
    method = getattr(Store("dyad:"), name)
    parameters = inspect.signature(method).parameters
    made: Script[Any] = method(**{each: EXAMPLES.get(each, "x") for each in parameters})
    return made


def test_the_page_has_each_kind_of_key_and_no_other() -> None:
    keys = Keys("")
    made = {keys.schema, keys.generation, keys.name}
    for name, method in inspect.getmembers(keys, inspect.ismethod):
        if not name.startswith("_"):
            made.add(method(*("x" for _ in inspect.signature(method).parameters)))
    assert {key.partition(":")[0] for key in made} == ROWS.keys()


def test_the_page_has_each_script_and_no_other() -> None:
    rows = set(
        re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE.partition("## Scripts")[2], re.MULTILINE)
    )
    assert rows == LUA.keys()


def test_each_script_is_one_method_of_the_store() -> None:
    returned = {
        name: get_type_hints(method).get("return")
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if not name.startswith("_")
    }
    methods = {name for name, hint in returned.items() if "Script" in str(hint)}
    assert methods == LUA.keys()


@pytest.mark.parametrize("name", sorted(LUA))
def test_a_script_names_at_its_top_the_arguments_that_its_method_passes(name: str) -> None:
    made, text = script(name), LUA[name]
    assert made.name == name
    used = {int(number) for number in re.findall(r"ARGV\[(\d+)\]", text)}
    if name == "keep_rooms":
        # From here on there are three for each room.
        used |= {7, 8, 9}
    if name == "nodes_gone":
        # From here on there are nodes.
        used.add(6)
    assert used == {CALLER + number + 1 for number in range(len(made.arguments))}
    code = [line for line in text.splitlines() if not line.startswith("--")]
    assert not re.findall(r"ARGV\[\d", "".join(code[code.index("") :]))
    keys = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", text)}
    if "seat" in text or name in ("leave", "keep_rooms"):
        # This key is the room, which shared.lua uses.
        keys.add(1)
    assert keys <= set(range(1, len(made.keys) + 1))


def test_the_page_has_the_lifetimes_of_the_code() -> None:
    lives = {kind: row.seconds for kind, row in ROWS.items()}
    assert lives["schema"] == lives["name"] == lives["generation"] == bounds.GENERATION_MS / 1000
    assert lives["node"] == bounds.LEASE_MS / 1000
    assert lives["fence"] == lives["in"] == bounds.INBOX_MS / 1000
    assert lives["missing"] == bounds.MISSING_LIFE_MS / 1000
    assert lives["room"] == bounds.ROOM_MS / 1000
    assert lives["sealed"] == bounds.SEAL_MS / 1000
    assert lives["handed-off"] is lives["token"] is None


def test_a_script_uses_only_fields_that_the_page_has() -> None:
    fields = set().union(*(row.fields for row in ROWS.values()))
    for text in (SHARED, *LUA.values()):
        for command in re.findall(r"redis\.call\('(?:HGET|HMGET|HSET|XADD)'[^)\n]*", text):
            quoted = re.findall(r"'([a-z]+)'", command)
            assert set(quoted) <= fields, command


def test_the_page_has_each_field_of_a_seat() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", PAGE.partition("A seat is JSON")[2], re.MULTILINE)
    seat = set(rows[: rows.index("enter")])
    scripts = re.sub(r"--.*", "", SHARED + "".join(LUA.values()))
    used = set(re.findall(r"(?:seat|peer|left|member|evicted|there)\.(\w+)", scripts))
    assert used <= seat
    assert seat - used == {"email", "traceparent"}


@pytest.mark.parametrize("kind", sorted(ROWS))
def test_the_page_names_the_scripts_that_write_a_key(kind: str) -> None:
    assert ROWS[kind].writers <= LUA.keys()
    marks = {
        "room": r"put_seat|next_epoch\(\)|call\('HSET', KEYS\[1\], 'epoch'",
        "token": r"call\('HSET', KEYS\[(?:n|2)\], '(?:id|claim)'",
        "handed-off": r"call\('SET', handed_off_key",
        "in": "XADD",
        "missing": r"call\('SET', missing_key",
        "sealed": r"call\('SET', seal_key",
    }
    if kind in marks:
        assert ROWS[kind].writers == {name for name in LUA if re.search(marks[kind], LUA[name])}
    else:
        assert ROWS[kind].writers == {"renew_lease"}


# How the scripts name each kind of key.
NAMES = {
    "schema": r"KEYS\[6\]",
    "name": r"KEYS\[7\]",
    "generation": r"KEYS\[2\]",
    "node": r"KEYS\[1\]",
    "fence": r"KEYS\[5\]",
    "missing": r"KEYS\[4\]",
    "in": r"KEYS\[3\]",
    "room": r"(?:KEYS\[1\]|key)",
    "handed-off": r"handed_off_key\(",
    "sealed": "seal_key",
    "token": r"KEYS\[(?:n|2)\]",
}


@pytest.mark.parametrize("kind", sorted(ROWS))
def test_the_page_names_the_scripts_that_extend_the_life_of_a_key_or_delete_it(kind: str) -> None:
    of_nodes = {"renew_lease", "nodes_gone"}
    texts = {
        name: text
        for name, text in LUA.items()
        if (name in of_nodes) != (kind in ("room", "sealed", "handed-off", "token"))
    }
    extends = rf"call\('PEXPIRE', {NAMES[kind]}" + (r"|keep_room_for\(" if kind == "room" else "")
    deletes = rf"call\('DEL', {NAMES[kind]}"
    assert ROWS[kind].extenders == {name for name in texts if re.search(extends, texts[name])}
    assert ROWS[kind].deleters == {name for name in texts if re.search(deletes, texts[name])}


def test_the_page_quotes_the_sentence_about_the_schema() -> None:
    assert f"dyad: {schema_sentence('DYADSCHEMA 2', 'dyad:')}" in PAGE
    assert "schema" in named(PAGE)
