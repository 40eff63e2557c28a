"""How many cases the fuzz tests try, and the seed that repeats them.

`FUZZ_CASES` is the total number of cases. `FUZZ_SEED` determines every case.
"""

import os

from tests.support.depth import depth

CASES = depth("FUZZ_CASES", here=50_000, ci=200_000)
SEED = os.environ.get("FUZZ_SEED", "1")

OF_FRAMES = CASES * 60 // 100
OF_BYTES = CASES * 20 // 100
OF_TOKENS = CASES * 19 // 100
OF_HTTP2 = CASES - OF_FRAMES - OF_BYTES - OF_TOKENS


def said(cases: int, of: str) -> None:
    """Print how many cases were tried."""
    print(f"{cases} cases of {of}: FUZZ_SEED={SEED} FUZZ_CASES={CASES}")
