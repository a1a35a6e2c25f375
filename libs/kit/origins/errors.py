"""Errors of files on other machines. All are OSError, as for a file on a failing disk."""

from __future__ import annotations

import errno
from typing import ClassVar


class OriginError(OSError):
    """An origin did not do what was requested. The text names its host at most: addresses may hold secrets."""

    outcome: ClassVar[str] = "OriginError"
    """Value of the label `outcome` of `origin_requests_total`."""


class OriginBlockedError(OriginError):
    """The guard forbids to contact it: its address is private, or its port is not among the allowed ones."""

    outcome = "Refused"


class OriginMissingError(OriginError, FileNotFoundError):
    """It answers that there is no such file."""

    outcome = "Missing"


class OriginDeniedError(OriginError):
    """It forbids to read the file. Some answer so for missing files, too, to keep secret which ones exist."""

    outcome = "Denied"


class OriginInterruptedError(OriginError):
    """It is unreachable, too slow, or broke off: worth another try."""

    outcome = "Interrupted"


class OriginChangedError(OriginError):
    """The file has been replaced since it was opened."""

    outcome = "Changed"


class OriginUnusableError(OriginError):
    """Its answer is malformed or lacks what serving needs: a length, and a validator that tells versions apart."""

    outcome = "Unusable"


class OriginFullError(OriginError):
    """It has no room for the file, or the file is larger than it takes. `errno` is ENOSPC, as for a full disk."""

    outcome = "Full"

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ENOSPC, reason)
