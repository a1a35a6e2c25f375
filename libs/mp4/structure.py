"""Where the boxes of a file lie (ISO/IEC 14496-12, 6.2.3 and annex A)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from mp4.boxes import HEADER, LARGE_HEADER, Box, read_header
from mp4.errors import UnsupportedMediaError

MAX_BOXES = 10_000
"""In one file, besides fragments: each is a read."""
MAX_MOOV_BYTES = 64 * 2**20
"""A film of two hours has 7 MB."""
MAX_PREFIX_BYTES = 64 * 2**10
"""What may come before the place where `moov` belongs."""
_ESSENTIAL = {b"moov", b"mdat"}
_FILM = _ESSENTIAL | {b"moof"}


@dataclass(frozen=True, slots=True)
class Structure:
    """What a player meets when it reads a file from its beginning. Places are in bytes."""

    size: int
    """Of the file."""
    file_type: range
    """The `ftyp` box, behind which `moov` belongs; empty, at 0, in files that are older than it."""
    moov: range
    """The whole box; empty in a fragmented file whose fragments come first."""
    moov_header: int
    first_mdat: int
    """Where the first media data begin; `size` when there are none."""
    is_fragmented: bool
    """There are movie fragments (8.8): `moov` does not describe everything."""
    has_items: bool
    """There are untimed items (8.11), which may lie anywhere."""

    @property
    def is_fast_start(self) -> bool:
        """Whether the index comes before the media, so that playing can begin with the first bytes."""
        return self.is_fragmented or self.moov.start < self.first_mdat


def structure(fd: int, size: int) -> Structure:
    """Looks at the outermost boxes of an open file of `size` bytes, with one small read for each.

    Raises:
        UnsupportedMediaError: this is no such file, or it is cut short.
        OSError: the store failed.
    """
    file_type = moov = range(0)
    moov_header, first_mdat, has_items = 0, size, False
    for kind, place, header_size in _boxes(fd, size):
        match kind:
            case b"ftyp" if first_mdat == size and not moov and not file_type:
                file_type = place
            case b"moov":
                if moov:
                    raise UnsupportedMediaError("several moov")
                moov, moov_header = place, header_size
            case b"mdat":
                first_mdat = min(first_mdat, place.start)
            case b"moof" | b"styp" | b"sidx":
                return Structure(size, file_type, moov, moov_header, first_mdat, True, has_items)
            case b"meta":
                has_items = True
    if not moov:
        raise UnsupportedMediaError("no moov")
    return Structure(size, file_type, moov, moov_header, first_mdat, False, has_items)


def _boxes(fd: int, size: int) -> Iterator[tuple[bytes, range, int]]:
    """Yield kind, place and header length of each box of a file.

    Bytes behind a complete film that are no box end the walk, as they do in players: editors and cameras append data
    of their own.
    """
    at = 0
    seen: set[bytes] = set()
    for _ in range(MAX_BOXES):
        head = os.pread(fd, LARGE_HEADER, at)
        header = read_header(head, size - at)
        if header is None:
            # Where a part of the film itself is announced, it is cut short.
            is_junk = seen >= _ESSENTIAL and head[4:HEADER] not in _FILM
            if size - at >= HEADER and not is_junk:
                raise UnsupportedMediaError("no ISO base media file, or cut short")
            return
        kind, header_size, length = header
        yield kind, range(at, at + length), header_size
        seen.add(kind)
        at += length
    if not seen >= _ESSENTIAL:
        raise UnsupportedMediaError("too many boxes")


def read(fd: int, place: range, limit: int) -> memoryview:
    """That part of a file.

    Raises:
        UnsupportedMediaError: it is longer than `limit`, or the file is shorter than it was.
        OSError: the store failed.
    """
    if len(place) > limit:
        raise UnsupportedMediaError(f"more than {limit} bytes to read")
    data = bytearray(len(place))
    done = 0
    while done < len(data):
        count = os.preadv(fd, [memoryview(data)[done:]], place.start + done)
        if count == 0:
            raise UnsupportedMediaError("the file became shorter")
        done += count
    return memoryview(data).toreadonly()


def check_no_items(box: Box) -> None:
    """Looks into metadata for the places of untimed items (8.11.3), which would have to be moved with what they name.

    Raises:
        UnsupportedMediaError: there may be some.
    """
    if box.kind in {b"meta", b"udta"} and b"iloc" in bytes(box.body):
        raise UnsupportedMediaError("untimed items")
