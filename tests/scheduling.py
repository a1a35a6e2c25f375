"""Which black-box tests one process of a parallel run must take together: those that share a stack, which starts once.

Written here because `--dist loadgroup` of pytest-xdist 3.8 has no effect with pytest 9.2 (pytest-xdist issue 1386).
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

STACK = re.compile(r"\[(?:.*-)?(services|compose)(?:-.*)?\]$")
"""Marquee in one process starts in a moment: its tests may run in any process, a module at a time."""


def scope_of(test: str) -> str:
    """Return the name of the unit of work that a test belongs to, by the test's id."""
    path = test.partition("::")[0]
    if path.startswith("tests/e2e/") and (stack := STACK.search(test)):
        return stack[1]
    return path


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hand out units of work by `scope_of`, in the order in which `pytest` lists their first tests."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
