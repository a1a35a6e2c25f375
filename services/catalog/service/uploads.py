"""An upload, and the errors of storing one."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import structlog

from kit.errors import ApiError, ErrorCode

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole upload, whose bytes are synced to disk."""

    path: Path
    size_bytes: int
    title: str
    description: str
    tags: list[str]
    corporation_id: str | None
    protection: str
    sha256: str
    """Of the bytes, in hexadecimal."""


def storage_error(error: OSError) -> ApiError:
    """Return the error to answer with when the media store did not take an upload."""
    log.error("upload_not_stored", reason=str(error))
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ApiError(ErrorCode.STORAGE_FULL)
    return ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE)
