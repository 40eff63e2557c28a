import pytest

from tests.support.needs import ROOT, needs


def test_what_is_here_lets_the_test_run() -> None:
    needs("python3", ROOT / "README.md")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_what_is_missing_skips_a_persons_test_and_fails_that_of_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"not here: no-such-program, .*no/such/file") as ended:
        needs("python3", "no-such-program", ROOT / "no" / "such" / "file")
    assert type(ended.value) is outcome
