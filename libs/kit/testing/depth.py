"""How much of what is drawn at random the tests try: few cases in `make test`, many in `make test-deep`."""

from __future__ import annotations

import os

VARIABLE = "MARQUEE_TEST_DEPTH"
_DEPTHS = ("quick", "deep")


def is_deep() -> bool:
    """Return whether this is a deep run.

    Raises:
        ValueError: the environment names a depth that does not exist.
    """
    depth = os.environ.get(VARIABLE, "quick")
    if depth not in _DEPTHS:
        raise ValueError(f"{VARIABLE} is {depth!r}; it must be one of: {', '.join(_DEPTHS)}")
    return depth == "deep"


def cases(*, quick: int, deep: int) -> int:
    """Return how many cases to draw in this run."""
    return deep if is_deep() else quick
