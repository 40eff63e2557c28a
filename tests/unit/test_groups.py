"""Groups of tests: only one test of a group runs at a time."""

import os

import pytest


@pytest.mark.xdist_group("probe")
def test_a_mark_puts_a_test_into_its_group(request: pytest.FixtureRequest) -> None:
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@probe") == parallel
