"""How late the event loop is."""

import asyncio
import contextlib

import pytest
from dyad_server.ops import bounds
from dyad_server.ops.metrics import MetricsObserver

from tests.support.fake_clock import FakeClock
from tests.support.until import until


@pytest.mark.parametrize(("seconds", "said"), [(1.9, []), (12.5, ["seconds=12.5"])])
async def test_the_log_says_for_how_long_a_process_did_not_run(
    seconds: float,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(bounds, "LAG_SECONDS", 0)
    clock = FakeClock()
    metrics = MetricsObserver(lambda _: "")
    measuring = asyncio.create_task(metrics.measure_lag(clock))
    await asyncio.sleep(0)
    clock.now += seconds
    await until(lambda: bool(metrics.registry.get_sample_value("dyad_loop_lag_seconds_sum")))
    measuring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await measuring
    assert [message.removeprefix("the process did not run ") for message in caplog.messages] == said
