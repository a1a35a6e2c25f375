"""Why a file gives no information or no thumbnail."""

from __future__ import annotations

from services.thumbnailer.domain import MediaFailure


class MediaError(Exception):
    """A file can't be processed, for a reason that users can read."""

    def __init__(self, failure: MediaFailure) -> None:
        """Say what is wrong and what to do about it."""
        super().__init__(f"{failure.code}: {failure.reason}")
        self.failure = failure

    @classmethod
    def of(cls, code: str) -> MediaError:
        """Return the error for a code of `domain`."""
        return cls(MediaFailure.of(code))


class UnusableFileError(Exception):
    """The child process can't use the file; the code says why."""

    def __init__(self, code: str) -> None:
        """Take a code that `domain.py` defines."""
        super().__init__(code)
        self.code = code


class StoreUnavailableError(Exception):
    """The media store, an origin, or this machine can't do the job now: another try may succeed."""

    is_expected = True
