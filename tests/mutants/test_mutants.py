"""The planted bugs still apply; `make mutants` shows that each is caught."""

import pytest

from tests.mutants.mutant import Mutant, mutants
from tests.support.names import there_is
from tests.support.needs import ROOT, needs


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies_and_its_test_exists(mutant: Mutant) -> None:
    needs("git")
    assert not mutant.apply(ROOT, "--check"), (
        "adapt the patch to the code, and keep the lines above the diff"
    )
    assert there_is(mutant.test), f"no {mutant.test}"
