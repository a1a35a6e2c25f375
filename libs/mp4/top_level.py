"""The outermost boxes of a file (ISO/IEC 14496-12, 4.2): the one walk over them that all readers share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mp4.boxes import HEADER, LARGE_HEADER, parse_header
from mp4.errors import NotABoxError, TruncatedBoxError

_KIND = re.compile(rb"[\x20-\x7e\xa9]{4}")
_MEDIA = {b"mdat", b"moof"}
_FILM = _MEDIA | {b"moov"}
_LARGE = (1).to_bytes(4, "big")
"""The size field of a box whose size is a 64-bit number after it."""


@dataclass(frozen=True, slots=True)
class TopLevelBox:
    """One of a file's outermost boxes."""

    kind: bytes
    place: range
    """Where the whole box is in the file, in bytes."""
    header_size: int


def top_level_boxes(fd: int, size: int) -> Iterator[TopLevelBox]:
    """Yield the outermost boxes of an open file of `size` bytes, with one read of 16 bytes for each.

    Bytes behind a complete film (`moov`, and `mdat` or `moof`) that are no box end the walk, as they do in players:
    editors and cameras append data of their own. Fewer than 8 bytes at the end are ignored.

    Raises:
        NotABoxError: something else than a box follows.
        TruncatedBoxError: a box ends behind the file's end.
        OSError: the file can't be read.
    """
    at = 0
    seen: set[bytes] = set()
    while len(head := os.pread(fd, LARGE_HEADER, at)) >= HEADER:
        is_complete = b"moov" in seen and not seen.isdisjoint(_MEDIA)
        kind = head[4:HEADER]
        header = parse_header(head, size - at)
        if header is None or not _KIND.fullmatch(kind):
            if is_complete:
                return
            is_cut_off = len(head) < LARGE_HEADER and head.startswith(_LARGE)
            raise TruncatedBoxError(f"{kind!r} is cut off") if is_cut_off else NotABoxError(f"no box at {at}")
        _, header_size, length = header
        if at + length > size:
            # A part of the film itself that is announced behind a complete film was cut off.
            if is_complete and kind not in _FILM:
                return
            raise TruncatedBoxError(f"{kind!r} is cut off")
        yield TopLevelBox(kind, range(at, at + length), header_size)
        seen.add(kind)
        at += length
