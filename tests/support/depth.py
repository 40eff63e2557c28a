"""How long open-ended tests run."""

import os


def depth(variable: str, *, here: int, ci: int) -> int:
    """How many: what the variable says; otherwise enough for CI, or for a person who waits."""
    return int(os.environ.get(variable) or (ci if os.environ.get("CI") else here))
