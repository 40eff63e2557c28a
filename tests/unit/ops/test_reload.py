"""Files that change: when a change counts, and what stays in force."""

import asyncio
import logging
from pathlib import Path

import pytest
from dyad_server.errors import ConfigError
from dyad_server.ops.reload import Reloader, Watched


class Lines:
    """Two files that belong together."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "one", folder / "two"
        self.in_force: tuple[str, ...] = ()
        self.write("a", "a")

    def write(self, *contents: str | None) -> None:
        for file, content in zip(self._files, contents, strict=True):
            if content is not None:
                file.write_text(content)

    def read(self) -> tuple[str, ...]:
        try:
            return tuple(file.read_text() for file in self._files)
        except OSError as error:
            raise ConfigError(f"{error.strerror}.") from None

    def use(self, contents: tuple[str, ...]) -> None:
        if len(set(contents)) > 1:
            raise ConfigError("They do not fit together.")
        self.in_force = contents

    def remove(self) -> None:
        self._files[0].unlink()


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(tmp_path)


@pytest.fixture
def watched(lines: Lines, caplog: pytest.LogCaptureFixture) -> Watched[tuple[str, ...]]:
    caplog.set_level(logging.INFO)
    return Watched("lines", lines.read, lines.use)


async def test_a_change_counts_once_two_looks_agree(
    lines: Lines, watched: Watched[tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    lines.write("b", None)
    await watched.look(patient=True)
    lines.write(None, "b")
    await watched.look(patient=True)
    assert lines.in_force == ("a", "a")
    await watched.look(patient=True)
    assert lines.in_force == ("b", "b")
    await watched.look(patient=True)
    assert [record.getMessage() for record in caplog.records] == ["lines reloaded"]


async def test_an_impatient_look_takes_a_change_at_once_and_says_if_there_is_none(
    lines: Lines, watched: Watched[tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    await watched.look(patient=False)
    lines.write("b", "b")
    await watched.look(patient=False)
    assert lines.in_force == ("b", "b")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["lines unchanged", "lines reloaded"]


async def test_unfit_or_missing_files_are_reported_once_and_what_was_in_force_stays(
    lines: Lines, watched: Watched[tuple[str, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    lines.write("b", "c")
    for _ in range(4):
        await watched.look(patient=True)
    assert (lines.in_force, watched.refused) == (("a", "a"), "They do not fit together.")
    lines.remove()
    for _ in range(4):
        await watched.look(patient=True)
    assert (lines.in_force, watched.refused) == (("a", "a"), "No such file or directory.")
    said = [record.getMessage() for record in caplog.records]
    stays = "lines not reloaded, what was in force stays: "
    assert said == [stays + "They do not fit together.", stays + "No such file or directory."]
    lines.write("a", "a")
    for _ in range(2):
        await watched.look(patient=True)
    assert watched.refused == ""


async def test_a_look_that_fails_unexpectedly_ends_neither_the_looks_nor_quotes_a_key(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    seen = asyncio.Event()
    told: list[object] = []

    def read() -> tuple[str, ...]:
        if told == ["fail"]:
            told.append("failed")
            raise RuntimeError("s3cret")
        if told == ["fail", "failed"]:
            loop.call_soon_threadsafe(seen.set)
        return lines.read()

    loop = asyncio.get_running_loop()
    reloader = Reloader()
    reloader.watch(Watched("lines", read, lines.use))
    told.append("fail")
    keeping = asyncio.create_task(reloader.keep())
    while not seen.is_set():
        reloader.look_now()
        await asyncio.sleep(0.001)
    keeping.cancel()
    assert "lines not read: RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text


def test_unfit_files_at_the_start_are_refused(lines: Lines) -> None:
    lines.write("b", "c")
    with pytest.raises(ConfigError, match="do not fit"):
        Watched("lines", lines.read, lines.use)
