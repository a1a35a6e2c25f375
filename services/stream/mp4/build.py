"""From an open file and an asked time to a virtual file."""

from __future__ import annotations

import math
from typing import BinaryIO

from services.stream.mp4.boxes import Box
from services.stream.mp4.cut import Film
from services.stream.mp4.errors import Unsupported
from services.stream.mp4.layout import Payload
from services.stream.mp4.structure import MAX_MOOV_BYTES, MAX_PREFIX_BYTES, read, structure
from services.stream.mp4.virtual_file import VirtualFile
from services.stream.mp4.whole import with_index_first

_MAX_START_MS = 2**63


def milliseconds(start_sec: float) -> int:
    """An asked time as it is understood: rounded to the nearest millisecond.

    Raises:
        ValueError: it is negative or not a number.
    """
    if not start_sec >= 0:
        raise ValueError("not a time")
    return _MAX_START_MS if start_sec * 1000 >= _MAX_START_MS else math.floor(start_sec * 1000 + 0.5)


def build(file: BinaryIO | int, size: int, start_sec: float) -> VirtualFile:
    """A whole, playable file that begins at the key frame at or before a time; at 0, the whole with its index first.

    Times are the movie's as players show them, after its edit lists, and taken to the millisecond, so that a key
    frame's own time, rounded, names it. A film without pictures is begun at any sample of its sound.

    Args:
        file: open for reading, or its descriptor; its position is neither used nor moved.
        size: its length in bytes.
        start_sec: where to begin, in seconds.

    Raises:
        ValueError: `start_sec` is negative or not a number.
        StartBeyondEnd: the film is over by then.
        Unsupported: no virtual file can be made; serve the file as it is.
        OSError: the store failed.
    """
    start_ms = milliseconds(start_sec)
    fd = file if isinstance(file, int) else file.fileno()
    found = structure(fd, size)
    if found.is_fragmented:
        raise Unsupported("fragmented")
    if start_ms == 0 and found.is_fast_start:
        return _virtual(b"", Payload([(0, size)]), 0, 0, 1)
    raw = read(fd, found.moov, MAX_MOOV_BYTES)
    moov = Box(b"moov", raw, raw[found.moov_header :])
    if start_ms == 0:
        return _virtual(*with_index_first(fd, found, moov), 0, 0, 1)
    film = Film(moov, size)
    place = film.place(start_ms)
    if place.time:
        header, payload = film.since(place.time, read(fd, found.file_type, MAX_PREFIX_BYTES))
    elif found.is_fast_start:
        header, payload = b"", Payload([(0, size)])
    else:
        header, payload = with_index_first(fd, found, moov)
    return _virtual(header, payload, place.time / film.scale, place.first_ms, place.until_ms)


def _virtual(header: bytes, payload: Payload, start_sec: float, first_ms: int, until_ms: int) -> VirtualFile:
    return VirtualFile(header, payload.spans, start_sec, first_ms, until_ms)
