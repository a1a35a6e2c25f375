"""How many processors a process may use, by its affinity and its container's limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kit.processors import available_processors


@pytest.fixture(autouse=True)
def six_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a bigger machine."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000", 6),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("900000 100000", 6),
        ("nonsense", 6),
    ],
)
def test_limit_of_cgroup_2(tmp_path: Path, text: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{text}\n")
    assert available_processors(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 6), ("300000", 3)])
def test_limit_of_cgroup_1(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_processors(tmp_path) == expected


def test_affinity_alone(tmp_path: Path) -> None:
    assert available_processors(tmp_path) == 6
