"""An upload, and the errors of storing one."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import structlog

from kit.errors import ApiError, ErrorCode
from kit.media_store import MediaWriter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole upload, whose bytes have been sent to the store."""

    video_id: str
    """The id that its video will have."""
    writer: MediaWriter
    """Of the video's source; its file is not there before it is completed."""
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
