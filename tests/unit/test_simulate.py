"""The estimate of what a fleet needs: its costs and its table are those of the documentation."""

import dataclasses

import pytest

from benchmarks.simulate import LOADS, SIZES, Costs, Load, Need, most_of_one_redis, table
from tests.support.needs import ROOT

# Not of CPU, or computed: see `Costs`.
OTHERS = {"stream_kib", "room_bytes", "call_network_kib", "idle_network_bytes"}


def test_the_page_has_the_table_of_the_program() -> None:
    assert f"```\n{table()}\n```" in (ROOT / "docs" / "scaling.md").read_text()


def test_each_cost_is_a_figure_of_the_documentation() -> None:
    page = "".join((ROOT / "docs" / name).read_text() for name in ("performance.md", "scaling.md"))
    for name, cost in dataclasses.asdict(Costs()).items():
        for each in cost if isinstance(cost, tuple) else (cost,):
            figure = f"{each / 1000:g} ms" if each > 1000 else f"{each:g} µs"
            assert name in OTHERS or figure in page, f"{name}: {figure}"


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_what_one_redis_serves_is_its_limit(load: Load) -> None:
    most = most_of_one_redis(load)
    assert Need(round(most * 0.95), load).redis == 1
    assert Need(round(most * 1.05), load).redis > 1


@pytest.mark.parametrize("size", SIZES)
def test_no_process_is_more_than_60_percent_busy(size: int) -> None:
    for load in LOADS:
        need = Need(size, load)
        assert need.cores <= 0.6 * need.nodes
        assert need.redis_cores <= 0.6 * need.redis
        assert need.participants <= 10_000 * need.nodes


@pytest.mark.parametrize("size", SIZES)
def test_the_routing_key_saves_redis_and_cpu(size: int) -> None:
    for at_random, by_the_key in zip(LOADS[::2], LOADS[1::2], strict=True):
        dear, cheap = Need(size, at_random), Need(size, by_the_key)
        assert cheap.redis_cores < dear.redis_cores
        assert cheap.cores < dear.cores
