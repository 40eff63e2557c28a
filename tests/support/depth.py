"""How long open-ended tests run."""

import os


def depth(variable: str, *, here: int, ci: int) -> int:
    """The value of the variable; by default one number for CI and a smaller one locally."""
    return int(os.environ.get(variable) or (ci if os.environ.get("CI") else here))
