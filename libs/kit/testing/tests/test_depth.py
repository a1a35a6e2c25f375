from __future__ import annotations

import pytest

from kit.testing.depth import VARIABLE, cases


@pytest.mark.parametrize(("depth", "expected"), [("quick", 3), ("deep", 40), (None, 3)])
def test_number_of_cases(monkeypatch: pytest.MonkeyPatch, depth: str | None, expected: int) -> None:
    if depth is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, depth)
    assert cases(quick=3, deep=40) == expected


def test_unknown_depth_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "shallow")
    with pytest.raises(ValueError, match="must be one of: quick, deep"):
        cases(quick=3, deep=40)
