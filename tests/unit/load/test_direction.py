"""The check of what arrives from a peer."""

import pytest
from dyad_server.load.direction import Direction


def sent(frames: int) -> tuple[Direction, list[str]]:
    direction = Direction("load-1a")
    return direction, [direction.send(200, now=float(number)) for number in range(frames)]


def test_frames_that_arrive_as_they_were_sent_are_right() -> None:
    direction, texts = sent(4)
    assert [direction.take(text, now=10.0) for text in texts] == [10.0, 9.0, 8.0, 7.0]
    assert (direction.arrived, direction.lost, direction.wrong) == (4, 0, False)


def test_each_text_is_as_long_as_asked_and_differs_from_the_others() -> None:
    _, texts = sent(5)
    assert {len(text) for text in texts} == {200}
    assert len(set(texts)) == 5


def test_a_frame_that_does_not_arrive_is_lost() -> None:
    direction, texts = sent(3)
    for text in (texts[0], texts[2]):
        direction.take(text, now=5.0)
    assert (direction.lost, direction.reordered, direction.wrong) == (1, 0, True)


def test_a_frame_that_arrives_twice_is_doubled() -> None:
    direction, texts = sent(1)
    direction.take(texts[0], now=1.0)
    assert direction.take(texts[0], now=2.0) is None
    assert (direction.doubled, direction.arrived, direction.wrong) == (1, 1, True)


def test_a_frame_that_a_later_one_overtook_is_reordered() -> None:
    direction, texts = sent(3)
    for text in (texts[0], texts[2], texts[1]):
        direction.take(text, now=5.0)
    assert (direction.reordered, direction.lost, direction.wrong) == (1, 0, True)


@pytest.mark.parametrize(
    "text", ["", "x", "1", "99 load-1a\r\n", "0 load-1a\r\n", "-1 load-1a\r\n", "²  load-1a"]
)
def test_a_text_that_nobody_sent_is_altered(text: str) -> None:
    direction, _ = sent(1)
    assert direction.take(text, now=1.0) is None
    assert (direction.altered, direction.lost, direction.wrong) == (1, 1, True)


def test_a_frame_of_another_call_is_altered() -> None:
    direction, _ = sent(1)
    direction.take(Direction("load-2a").send(200, now=0.0), now=1.0)
    assert direction.altered == 1


def test_a_frame_that_lost_its_end_is_altered() -> None:
    direction, texts = sent(1)
    direction.take(texts[0][:-1], now=1.0)
    assert direction.altered == 1
