import pytest

from tests.support.needs import ROOT, needs


def test_a_test_runs_if_its_needs_are_met() -> None:
    needs("python3", ROOT / "README.md")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_need_skips_a_test_locally_and_fails_it_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"are missing: no-such-program, .*no/such/file") as ended:
        needs("python3", "no-such-program", ROOT / "no" / "such" / "file")
    assert type(ended.value) is outcome
