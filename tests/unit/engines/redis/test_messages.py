"""What nodes say to each other: the format of version 1, and messages of other versions."""

import contextlib
from typing import Any

import msgpack
import pytest
from dyad_server.engines.redis import messages, snapshot
from dyad_server.engines.redis.message_codec import Form, NotUnderstood
from dyad_server.engines.redis.messages import (
    ANSWER,
    ENDS,
    ENTRY,
    NODE,
    PEER,
    QUESTION,
    Entry,
    SendAnswer,
    Unknown,
    failure_of,
    read_message,
    send_answer,
)
from dyad_server.engines.redis.snapshot import PARTICIPANT, SEAT, SNAPSHOT
from dyad_server.errors import Draining, Ended, Reason, Unavailable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.engines.redis.version_1 import BODY, PLAIN_STATE, VERSION_1, plain_output

ALL: list[tuple[Form[Any], Any]] = [
    (PEER, messages.PeerMessage),
    (NODE, messages.NodeMessage),
    (QUESTION, messages.Question),
    (ANSWER, messages.AnswerBody),
    (ENTRY, Entry),
    (SNAPSHOT, snapshot.Snapshot),
    (SEAT, snapshot.SeatState),
]
# Any data that msgpack can carry.
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**63) | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
MAPS = st.dictionaries(st.text(max_size=8), DATA, max_size=4)
st.register_type_strategy(int, st.integers(0, 2**63))
for kind, name in (
    (messages.Link, "body"),
    (messages.Ask, "question"),
    (messages.Answer, "answer"),
    (snapshot.KeptState, "body"),
):
    st.register_type_strategy(kind, st.builds(kind, **{name: MAPS}))


st.register_type_strategy(Entry, st.builds(Entry, messages=st.lists(DATA, max_size=4)))
st.register_type_strategy(
    snapshot.Snapshot, st.builds(snapshot.Snapshot, seat=MAPS, participant=MAPS)
)
# A slow machine must not fail these tests.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def with_more(data: Any) -> Any:
    """The same data from a later version, in which each map has another field."""
    if isinstance(data, dict) and data != BODY:
        return {name: with_more(value) for name, value in data.items()} | {"later": [1]}
    return [with_more(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize(("form", "message", "plain"), VERSION_1)
def test_the_format_of_version_1_does_not_change(
    form: Form[Any], message: object, plain: dict[str, Any]
) -> None:
    assert form.write(message) == plain
    assert form.unpack(msgpack.packb(plain)) == message


def test_the_format_of_version_1_has_every_kind_of_message() -> None:
    kinds = {type(message) for _, message, _ in VERSION_1}
    for union in (messages.PeerMessage, messages.NodeMessage, messages.Question):
        assert set(union.__args__) <= kinds
    assert set(messages.AnswerBody.__args__) <= kinds
    assert messages.VERSION == 1


@pytest.mark.parametrize(("form", "kind"), ALL)
@unhurried
@given(data=st.data())
def test_a_message_is_unpacked_as_it_was_packed(
    form: Form[Any], kind: type, data: st.DataObject
) -> None:
    message = data.draw(st.from_type(kind))
    assert form.unpack(form.pack(message)) == message


@pytest.mark.parametrize(("form", "message", "plain"), VERSION_1)
def test_fields_of_a_later_version_are_ignored(
    form: Form[Any], message: object, plain: dict[str, Any]
) -> None:
    assert form.read(with_more(plain)) == message


@pytest.mark.parametrize(("form", "_", "plain"), VERSION_1)
def test_a_field_that_is_missing_or_of_another_type_is_not_understood(
    form: Form[Any], _: object, plain: dict[str, Any]
) -> None:
    # These fields have a default.
    optional = {"version", "code", "sentence", "email", "room", "resumed", "traceparent"}
    optional |= {"why", "within_ms"}
    for name in plain:
        without = {key: value for key, value in plain.items() if key != name}
        if name in optional:
            form.read(without)
        else:
            with pytest.raises(NotUnderstood):
                form.read(without)
    for name in plain:
        with pytest.raises(NotUnderstood):
            form.read(plain | {name: 1.5})


@pytest.mark.parametrize("form", [PEER, NODE, QUESTION, ANSWER])
def test_a_kind_of_a_later_version_is_not_understood(form: Form[Any]) -> None:
    with pytest.raises(NotUnderstood, match="kind later"):
        form.read({"kind": "later"})


def test_a_known_kind_with_a_value_of_a_later_version_is_not_understood() -> None:
    with pytest.raises(NotUnderstood, match=r"Left\.reason"):
        PEER.read({"kind": "left", "reason": "banished"})
    later = PLAIN_STATE["session"] | {"kept": [plain_output({"kind": "later"})]}
    with pytest.raises(NotUnderstood, match="kind later"):
        PARTICIPANT.read(PLAIN_STATE | {"session": later})


@unhurried
@given(DATA)
def test_any_data_is_read_as_a_message_or_not_understood(data: Any) -> None:
    for form, _ in ALL:
        try:
            message = form.read(data)
        except NotUnderstood:
            continue
        assert form.read(form.write(message)) == message


@unhurried
@given(DATA)
def test_any_data_in_an_entry_is_read_as_a_message_or_unknown(data: Any) -> None:
    assert isinstance(read_message(data), messages.NodeMessage | Unknown)


@unhurried
@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_an_entry_or_not_understood(packed: bytes) -> None:
    with contextlib.suppress(NotUnderstood):
        assert isinstance(ENTRY.unpack(packed), Entry)


def test_an_unknown_message_about_a_pair_can_be_answered() -> None:
    later = {"kind": "later", "sender": "a1", "receiver": "b1", "more": 1}
    assert read_message(later) == Unknown("kind later", "a1", "b1")
    assert read_message({"kind": "later", "sender": 1}) == Unknown("kind later")


def every_end(base: type[Ended] = Ended) -> list[type[Ended]]:
    return [end for kind in base.__subclasses__() for end in (kind, *every_end(kind))]


@pytest.mark.parametrize("kind", every_end())
def test_the_error_of_a_forwarded_send_comes_back_unchanged(kind: type[Ended]) -> None:
    failure = failure_of(send_answer(kind("a sentence", Reason.LEASE)))
    assert type(failure) is kind
    assert str(failure) == "a sentence"
    assert failure.reason is Reason.LEASE


def test_a_node_that_drains_spreads_the_reconnects_of_a_forwarded_send_too() -> None:
    failure = failure_of(send_answer(Draining("a sentence", within=7.5)))
    assert isinstance(failure, Draining)
    assert failure.within == 7.5


def test_a_forwarded_send_without_an_error_or_with_the_error_of_a_later_version() -> None:
    assert failure_of(send_answer(None)) is None
    later = failure_of(SendAnswer("later", "a sentence", "later"))
    assert type(later) is Unavailable
    assert str(later) == "a sentence"
    assert later.reason is Reason.ENGINE_AWAY


def test_the_answer_of_a_node_of_the_version_before_has_no_reason() -> None:
    answer = ANSWER.read({"kind": "send", "code": "draining", "sentence": "a sentence"})
    assert isinstance(answer, SendAnswer)
    failure = failure_of(answer)
    assert isinstance(failure, Draining)
    assert failure.reason is Reason.DRAINING
    assert failure.within == Draining("").within


def test_the_codes_on_the_wire_are_not_names_of_classes() -> None:
    assert not {code for code in ENDS if code in {kind.__name__ for kind in ENDS.values()}}
