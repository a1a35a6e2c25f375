"""Real servers for every test that asks for one (see kit.testing.fixtures), how deep to test, and names that stay."""

from __future__ import annotations

import re

import hypothesis

from kit.testing.depth import cases

pytest_plugins = ["kit.testing.fixtures"]

# For tests that say no number of their own.
hypothesis.settings.register_profile("marquee", max_examples=cases(quick=100, deep=5_000))
hypothesis.settings.load_profile("marquee")

_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name an identifier made for this run by its kind: every worker of a parallel run must know the same tests."""
    if isinstance(val, str) and _UUID.search(val):
        return _UUID.sub("uuid", val).encode("unicode_escape").decode()
    return None
