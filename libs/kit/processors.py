"""How many processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")


def available_processors(cgroup: Path = _CGROUP) -> int:
    """Return how many processors this process can keep busy, at least 1: its affinity, within its container's limit.

    Args:
        cgroup: where the container's limits are (kernel documentation, cgroup-v2, `cpu.max`; cgroup-v1, `cpu.cfs_*`).
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _limit(cgroup)
    return count if limit is None else max(1, min(count, int(limit)))


def _limit(cgroup: Path) -> float | None:
    """Return the container's limit in processors; None without one."""
    try:
        if (unified := cgroup / "cpu.max").exists():
            quota, period = unified.read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        # No such files, or "max".
        return None
