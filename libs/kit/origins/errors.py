"""What goes wrong with files that lie elsewhere. All are OSError, as for a file on a disk that fails."""
# ruff: noqa: N818 - they read as sentences where they are raised

from __future__ import annotations


class OriginError(OSError):
    """An origin did not give what was asked of it. The text names its host at most: addresses may hold secrets."""


class Refused(OriginError):
    """It may not be asked at all: its address is private, its port is not among the allowed ones."""


class Missing(OriginError, FileNotFoundError):
    """It says that there is no such file."""


class Denied(OriginError):
    """It says that the file may not be read; of one that is not there, too, when it keeps that to itself."""


class Interrupted(OriginError):
    """It is away, too slow, or broke off: worth another try."""


class Changed(OriginError):
    """The file is another one than when it was opened."""


class Unusable(OriginError):
    """What it says makes no sense, or is too little to serve a film by: no length, nothing that tells states apart."""
