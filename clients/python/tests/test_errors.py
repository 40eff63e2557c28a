import grpc
import pytest
from dyad.errors import (
    Ended,
    Forbidden,
    Overloaded,
    Refusal,
    TakenOver,
    TimedOut,
    Unauthenticated,
    Unavailable,
    ended,
)
from dyad.events import Departure

CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "kind", "should_retry"),
    [
        (CODE.UNAUTHENTICATED, Unauthenticated, False),
        (CODE.PERMISSION_DENIED, Forbidden, False),
        (CODE.RESOURCE_EXHAUSTED, Overloaded, True),
        (CODE.DEADLINE_EXCEEDED, TimedOut, False),
        (CODE.ABORTED, TakenOver, False),
        (CODE.UNAVAILABLE, Unavailable, True),
        (CODE.CANCELLED, Unavailable, True),
        (CODE.INTERNAL, Unavailable, True),
        (CODE.UNKNOWN, Unavailable, True),
        (CODE.UNIMPLEMENTED, Ended, False),
        (CODE.OK, Ended, False),
    ],
)
def test_the_kind_of_an_end_says_whether_to_reconnect(
    code: grpc.StatusCode, kind: type[Ended], *, should_retry: bool
) -> None:
    end = ended(code, "why")
    assert (type(end), end.code, end.should_retry) == (kind, code, should_retry)
    assert str(end) == f"{code.name}: why"


@pytest.mark.parametrize(
    ("trailer", "seconds"), [(None, None), ("1500", 1.5), ("soon", None), ("-1", None)]
)
def test_the_time_to_wait_is_given_in_seconds(trailer: str | None, seconds: float | None) -> None:
    assert ended(CODE.UNAVAILABLE, "", trailer).retry_after == seconds


@pytest.mark.parametrize(
    ("trailer", "final"), [(None, False), ("0", False), ("1500", False), ("-1", True)]
)
def test_a_negative_time_to_wait_is_final(trailer: str | None, *, final: bool) -> None:
    assert ended(CODE.ABORTED, "", trailer).final is final


def test_an_unknown_code_of_a_newer_server_reads_as_unspecified() -> None:
    assert Refusal(99) is Refusal.UNSPECIFIED
    assert Departure(99) is Departure.UNSPECIFIED
