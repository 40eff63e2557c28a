"""What two looks at metrics say."""

import pytest
from dyad_server.metrics_page import Page
from dyad_server.top.figures import Figures, add, compare, quantile

BEFORE = """
dyad_ready 1.0
dyad_draining 0.0
dyad_participants 5.0
dyad_seats{state="alone"} 1.0
dyad_seats{state="paired"} 3.0
dyad_seats{state="reserved"} 1.0
dyad_streams{transport="Signal"} 3.0
dyad_streams{transport="Listen"} 1.0
# TYPE dyad_joins counter
dyad_joins_total{outcome="first"} 10.0
dyad_joins_total{outcome="second"} 10.0
# TYPE dyad_requests_refused counter
dyad_requests_refused_total{status="RESOURCE_EXHAUSTED",reason="rate"} 7.0
# TYPE dyad_delivery_seconds histogram
dyad_delivery_seconds_bucket{le="0.001"} 100.0
dyad_delivery_seconds_bucket{le="0.01"} 100.0
dyad_delivery_seconds_bucket{le="+Inf"} 100.0
dyad_delivery_seconds_count 100.0
dyad_delivery_seconds_sum 0.05
# TYPE process_cpu_seconds counter
process_cpu_seconds_total 20.0
process_resident_memory_bytes 1000000.0
"""
AFTER = (
    BEFORE.replace('outcome="second"} 10.0', 'outcome="second"} 16.0')
    .replace('reason="rate"} 7.0', 'reason="rate"} 11.0')
    .replace('le="0.001"} 100.0', 'le="0.001"} 150.0')
    .replace('le="0.01"} 100.0', 'le="0.01"} 200.0')
    .replace('le="+Inf"} 100.0', 'le="+Inf"} 200.0')
    .replace("process_cpu_seconds_total 20.0", "process_cpu_seconds_total 21.0")
)


def seen(before: str = BEFORE, after: str = AFTER, seconds: float = 2.0) -> Figures:
    return compare(Page(before), Page(after), seconds)


def test_states_are_those_of_the_second_look_and_rates_those_between_both() -> None:
    node = seen()
    assert (node.state, node.participants, node.calls, node.streams) == ("ready", 5, 1.5, 4)
    assert (node.joins, node.cores, node.memory) == (3.0, 0.5, 1_000_000)
    assert node.refused == {"rate": 2.0}


def test_percentiles_are_those_of_the_interval() -> None:
    # Of 100 messages, 50 took up to 1 ms and 50 up to 10 ms.
    assert quantile(seen().delivery, 0.5) == pytest.approx(0.001)
    assert quantile(seen().delivery, 0.99) == pytest.approx(0.00982)


def test_what_a_node_does_not_report_is_not_known() -> None:
    node = seen()
    assert node.frames is None
    assert node.lag == {}
    assert quantile(node.lag) is None


def test_the_first_look_has_no_rates() -> None:
    node = compare(None, Page(AFTER), 2.0)
    assert (node.participants, node.joins, node.cores) == (5, None, None)
    assert (node.delivery, node.refused) == ({}, {})


def test_a_node_that_has_restarted_has_no_rates_and_none_below_zero() -> None:
    node = seen(before=AFTER, after=BEFORE)
    assert (node.joins, node.cores, node.delivery, node.refused) == (None, None, {}, {})


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("dyad_ready 0.0", "not ready"),
        ("dyad_ready 0.0\ndyad_draining 1.0", "draining"),
        ('dyad_ready{worker="0"} 1.0\ndyad_ready{worker="1"} 0.0', "not ready"),
        ("other_metric 1.0", "no node"),
    ],
)
def test_the_state_is_that_of_the_worst_worker(line: str, state: str) -> None:
    assert compare(None, Page(line + "\n"), 1.0).state == state


def test_workers_are_added_up() -> None:
    page = Page('dyad_participants{worker="0"} 2.0\ndyad_participants{worker="1"} 3.0\n')
    assert compare(None, page, 1.0).participants == 5


def test_nodes_are_added_up() -> None:
    total = add([seen(), seen(), Figures(state="draining")])
    assert total.state == "2 of 3 ready"
    assert (total.participants, total.calls, total.joins) == (10, 3.0, 6.0)
    assert total.refused == {"rate": 4.0}
    assert quantile(total.delivery, 0.5) == pytest.approx(0.001)
    assert total.frames is None


def test_a_percentile_above_all_bounds_is_the_highest_bound() -> None:
    assert quantile({0.1: 1.0, 1.0: 2.0, float("inf"): 100.0}) == 1.0
