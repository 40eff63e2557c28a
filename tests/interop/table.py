"""The table of which clients were tested together, made from pytest's reports."""

from collections.abc import Iterable, Mapping
from typing import Final

import pytest

from tests.support.sides import Line

CLIENTS: Final = {
    "python": "`Signal`",
    "go": "`Signal`",
    "kotlin": "`Signal`",
    "web": "`Listen` and `Send`, through Envoy",
}
SCENARIOS_OF_TWO: Final = {
    "call": "call, hang-up",
    "glare": "glare",
    "cut_caller": "caller is cut",
    "cut_callee": "callee is cut",
}
SCENARIOS_OF_ONE: Final[dict[str, Line]] = {
    "full": {"event": "refused", "code": "ROOM_FULL"},
    "unknown": {"event": "refused", "code": "ROOM_NOT_FOUND"},
    "badtoken": {"event": "ended", "code": "UNAUTHENTICATED", "retry": False},
}
SCENARIOS_OF_EACH: Final = {
    "closes while reconnecting, against the row above": (
        "test_closing_while_reconnecting_hangs_up"
    ),
    "token expires": "test_a_token_that_expires_in_the_call_is_renewed",
    "a proxy answers HTML for a while": "test_a_proxy_that_refuses_with_html_is_a_disconnect",
    "taken over by another device": (
        "test_a_client_whose_seat_another_device_takes_ends_and_stays_away"
    ),
    "offer of 70 kB": "test_an_offer_over_the_limit_is_refused_by_the_client_and_the_call_goes_on",
    "detaches, and the row above takes the seat": (
        "test_a_seat_that_a_client_keeps_is_taken_by_another_client"
    ),
    "a proxy ends a resume with ABORTED": (
        "test_a_status_that_dyad_did_not_send_is_a_disconnect_during_a_resume"
    ),
    "next room, with unread events": "test_unread_events_of_the_last_room_do_not_reach_the_next",
}
MEDIA: Final = {
    "Chromium with Chromium": (
        "tests/browser/test_page.py::"
        "test_two_browsers_show_each_other_and_closing_one_tells_the_other"
    ),
    "Chromium with aiortc": (
        "tests/browser/test_page.py::test_a_browser_and_aiortc_exchange_pictures"
    ),
    "Chromium with pion": "tests/interop/test_go_media.py::test_a_browser_calls_pion",
    "pion with Chromium": "tests/interop/test_go_media.py::test_pion_calls_a_browser",
    "pion with pion": (
        "tests/interop/test_go_media.py::test_each_receives_the_pictures_of_the_other[pion-pion]"
    ),
    "pion with aiortc": (
        "tests/interop/test_go_media.py::test_each_receives_the_pictures_of_the_other[pion-aiortc]"
    ),
    "aiortc with pion": (
        "tests/interop/test_go_media.py::test_each_receives_the_pictures_of_the_other[aiortc-pion]"
    ),
}

_TWO: Final = "tests/interop/test_matrix.py::test_two_clients_follow_the_script"
_EACH: Final = "tests/interop/test_each_client.py"
_ONE: Final = "tests/interop/test_matrix.py::test_a_client_tells_a_refusal_from_an_end"


def named() -> list[str]:
    """The tests that the table names."""
    each = (f"{_EACH}::{test}" for test in SCENARIOS_OF_EACH.values())
    return [_TWO, _ONE, *each, *MEDIA.values()]


def before(client: str) -> str:
    """The client that `client` plays `closing` against: each plays twice, in both parts."""
    ring = [*CLIENTS]
    return ring[ring.index(client) - 1]


def table(reports: Mapping[str, Iterable[object]]) -> str:
    """The table in Markdown; empty if no two clients were tested together.

    Args:
        reports: pytest's reports, by outcome.
    """
    cells = _cells(reports)
    if not any(name.startswith(_TWO) for name in cells):
        return ""
    two = [
        [
            caller,
            callee,
            *(cells.get(f"{_TWO}[{name}-{caller}-{callee}]") for name in SCENARIOS_OF_TWO),
        ]
        for caller in CLIENTS
        for callee in CLIENTS
    ]
    one = [
        [client, over, *(cells.get(f"{_ONE}[{name}-{client}]") for name in SCENARIOS_OF_ONE)]
        for client, over in CLIENTS.items()
    ]
    each = [
        [
            client,
            *(cells.get(f"{_EACH}::{test}[{client}]") for test in SCENARIOS_OF_EACH.values()),
        ]
        for client in CLIENTS
    ]
    media = [[pair, cells.get(test), f"`{test}`"] for pair, test in MEDIA.items()]
    return "\n".join(
        [
            *_rows(["caller", "callee", *SCENARIOS_OF_TWO.values()], two),
            "",
            *_rows(["client", "over", "full room", "unknown room", "bad token"], one),
            "",
            *_rows(["client", *SCENARIOS_OF_EACH], each),
            "",
            *_rows(["pictures", "", "test"], media),
            "",
        ]
    )


def _cells(reports: Mapping[str, Iterable[object]]) -> dict[str, str]:
    """The outcome of each test, by its name."""
    cells = {}
    # The worst outcome comes last and wins: a test may pass, and then fail to clean up.
    for outcome in ("passed", "skipped", "failed", "error"):
        for report in reports.get(outcome, ()):
            if isinstance(report, pytest.TestReport):
                passed = f"{report.duration:.2f} s"
                # pytest-xdist appends a test's group to its name.
                name = report.nodeid.partition("@")[0]
                cells[name] = passed if outcome == "passed" else outcome
    return cells


def _rows(head: list[str], rows: Iterable[list[str | None]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([cell or "not run" for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
