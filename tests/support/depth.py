"""How many cases or seconds the open-ended tests run."""

import os


def depth(variable: str, *, here: int, ci: int) -> int:
    """The value of the variable; by default a large number in CI and a smaller one elsewhere."""
    return int(os.environ.get(variable) or (ci if os.environ.get("CI") else here))
