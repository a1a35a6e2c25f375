"""Errors of files and of requests for virtual files."""

from __future__ import annotations


class UnsupportedMediaError(Exception):
    """No virtual file can be made of this file: it is fragmented, encrypted, damaged, or uses unsupported features.

    Serve it as it is.
    """


class NotABoxError(UnsupportedMediaError):
    """Something else follows where a box should begin."""


class TruncatedBoxError(UnsupportedMediaError):
    """A box ends behind the end of the file."""


class StartBeyondEndError(Exception):
    """The requested time is beyond the end of the movie."""

    def __init__(self, duration_ms: int) -> None:
        """Take the movie's duration in milliseconds, rounded up."""
        super().__init__(duration_ms)
        self.duration_ms = duration_ms
