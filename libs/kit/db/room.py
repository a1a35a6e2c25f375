"""Whether a database has room to write, for health: a full disk is noticed before and after it makes a write fail."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

from kit.telemetry import DATABASE_FULL

LEAST_BYTES: Final = 4 << 20
"""Below this a disk counts as full: about as much as SQLite's write-ahead log takes between two checkpoints."""
REMEMBER_SEC: Final = 10.0
"""How long a write that found no room is remembered, unless another one succeeds."""


class DiskFullError(Exception):
    """The database can't be written to, as its disk is full."""


class Room:
    """The room of one database.

    Args:
        name: of the database, in metrics.
        file: of SQLite; None where the disk is another machine's.
    """

    def __init__(self, name: str, file: Path | None) -> None:
        self._name = name
        self._folder = file.parent if file else None
        self._failed_at = float("-inf")

    def lacks(self) -> bool:
        """Return whether the disk is full, as far as it can be seen."""
        try:
            return self._folder is not None and shutil.disk_usage(self._folder).free < LEAST_BYTES
        except OSError:
            return False

    def failed(self) -> None:
        """Record that a write found no room."""
        self._failed_at = time.monotonic()

    def succeeded(self) -> None:
        """Record that a write found room."""
        self._failed_at = float("-inf")

    def check(self) -> None:
        """Raise DiskFullError while there is no room, and publish it as a metric."""
        is_full = self.lacks() or time.monotonic() - self._failed_at < REMEMBER_SEC
        DATABASE_FULL.labels(self._name).set(is_full)
        if is_full:
            raise DiskFullError(self._name)
