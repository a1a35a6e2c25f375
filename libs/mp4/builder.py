"""Build a virtual file from an open file and a requested start time."""

from __future__ import annotations

import math
from typing import BinaryIO

from mp4.boxes import Box
from mp4.errors import UnsupportedMediaError
from mp4.faststart import with_index_first
from mp4.layout import Payload
from mp4.structure import MAX_MOOV_BYTES, MAX_PREFIX_BYTES, read, structure
from mp4.trim import Movie
from mp4.virtual_file import VirtualFile

_MAX_START_MS = 2**63


def milliseconds(start_sec: float) -> int:
    """Return a requested time in whole milliseconds, rounded to the nearest.

    Raises:
        ValueError: the time is negative or not a number.
    """
    if not start_sec >= 0:
        raise ValueError("not a time")
    return _MAX_START_MS if start_sec * 1000 >= _MAX_START_MS else math.floor(start_sec * 1000 + 0.5)


def build(file: BinaryIO | int, size: int, start_sec: float) -> VirtualFile:
    """Return a complete, playable file that begins at the key frame at or before a time; at 0, the whole film.

    A whole film gets its index first. Times are the movie's as players show them, after its edit lists, rounded to the
    millisecond, so that a key frame's own rounded time selects it. A film without pictures can begin at any sample of
    its sound.

    Args:
        file: open for reading, or its descriptor; its position is neither used nor moved.
        size: its length in bytes.
        start_sec: where to begin, in seconds.

    Raises:
        ValueError: `start_sec` is negative or not a number.
        StartBeyondEndError: the film is shorter than that.
        UnsupportedMediaError: no virtual file can be made; serve the file as it is.
        OSError: the store failed.
    """
    return build_at(file if isinstance(file, int) else file.fileno(), size, milliseconds(start_sec))


def build_at(fd: int, size: int, start_ms: int) -> VirtualFile:
    """Return the same as `build`, for a time in milliseconds."""
    found = structure(fd, size)
    if found.is_fragmented:
        raise UnsupportedMediaError("fragmented")
    if start_ms == 0 and found.is_fast_start:
        return _whole(b"", Payload([(0, size)]), until_ms=1)
    raw = read(fd, found.moov, MAX_MOOV_BYTES)
    moov = Box(b"moov", raw, raw[found.moov_header :])
    if start_ms == 0:
        return _whole(*with_index_first(fd, found, moov), until_ms=1)
    movie = Movie(moov, fd, size)
    start = movie.start_point(start_ms)
    if start.time:
        header, payload = movie.trim_from(start.time, read(fd, found.file_type, MAX_PREFIX_BYTES))
        return VirtualFile.made(
            header,
            payload.spans,
            start_sec=start.time / movie.scale,
            first_ms=start.first_ms,
            until_ms=start.until_ms,
        )
    if found.is_fast_start:
        return _whole(b"", Payload([(0, size)]), until_ms=start.until_ms)
    return _whole(*with_index_first(fd, found, moov), until_ms=start.until_ms)


def _whole(header: bytes, payload: Payload, *, until_ms: int) -> VirtualFile:
    return VirtualFile.made(header, payload.spans, start_sec=0.0, first_ms=0, until_ms=until_ms)
