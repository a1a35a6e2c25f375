"""How much of a film a viewer should have received by a given time."""

from __future__ import annotations

TOLERANCE_SEC = 1.0


class Pace:
    """A viewer's pace.

    Args:
        bytes_per_sec: bytes of the film for each second of watching.
        started: when the viewer pressed play.
    """

    __slots__ = ("_bytes_per_sec", "_started")

    def __init__(self, bytes_per_sec: float, started: float) -> None:
        self._bytes_per_sec = bytes_per_sec
        self._started = started

    def allowance(self, now: float, received: int) -> int:
        """Return how many bytes the viewer reads now."""
        return max(0, int((now - self._started) * self._bytes_per_sec) - received)

    def is_behind(self, now: float, received: int) -> bool:
        """Return whether more than a second of the film that should have arrived is missing."""
        return received < (now - self._started - TOLERANCE_SEC) * self._bytes_per_sec
