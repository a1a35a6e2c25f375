"""What can be wrong with a file, or with what is asked of it."""

from __future__ import annotations


class UnsupportedMediaError(Exception):
    """No virtual file can be made of this file: it is fragmented, encrypted, damaged, or uses what is not known here.

    It is to be served as it is.
    """


class StartBeyondEndError(Exception):
    """The asked time is not within the movie."""

    def __init__(self, duration_ms: int) -> None:
        """With the movie's duration in milliseconds, rounded up."""
        super().__init__(duration_ms)
        self.duration_ms = duration_ms
