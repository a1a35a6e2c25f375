"""Locate the outermost boxes of a file (ISO/IEC 14496-12, 6.2.3 and annex A)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mp4.boxes import Box
from mp4.errors import UnsupportedMediaError
from mp4.top_level import top_level_boxes

MAX_BOXES = 10_000
"""Most boxes read of one file, besides fragments: each is a read."""
MAX_MOOV_BYTES = 64 * 2**20
"""Largest index that is read; a film of two hours has 7 MB."""
MAX_PREFIX_BYTES = 64 * 2**10
"""Most bytes before the place where `moov` belongs."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The outermost boxes that a player needs, and where they are in the file, in bytes."""

    size: int
    """Size of the file."""
    file_type: range
    """The `ftyp` box, behind which `moov` belongs; empty, at 0, in files from before `ftyp` existed."""
    moov: range
    """The whole box; empty in a fragmented file whose fragments come first."""
    moov_header: int
    first_mdat: int
    """Where the first media data begin; `size` if there are none."""
    is_fragmented: bool
    """Whether there are movie fragments (8.8): `moov` does not describe everything."""
    has_items: bool
    """Whether there are untimed items (8.11), which may lie anywhere."""

    @property
    def is_fast_start(self) -> bool:
        """Whether the index comes before the media, so that playing can begin with the first bytes."""
        return self.is_fragmented or self.moov.start < self.first_mdat


def structure(fd: int, size: int) -> Structure:
    """Return the structure of an open file of `size` bytes, with one small read for each box.

    Raises:
        UnsupportedMediaError: this is no ISO base media file, or it is cut off.
        OSError: the store failed.
    """
    file_type = moov = range(0)
    moov_header, first_mdat, has_items = 0, size, False
    for count, box in enumerate(top_level_boxes(fd, size)):
        if count == MAX_BOXES:
            raise UnsupportedMediaError("too many boxes")
        place = box.place
        match box.kind:
            case b"ftyp" if first_mdat == size and not moov and not file_type:
                file_type = place
            case b"moov":
                if moov:
                    raise UnsupportedMediaError("several moov")
                moov, moov_header = place, box.header_size
            case b"mdat":
                first_mdat = min(first_mdat, place.start)
            case b"moof" | b"styp" | b"sidx":
                return Structure(size, file_type, moov, moov_header, first_mdat, True, has_items)
            case b"meta":
                has_items = True
    if not moov:
        raise UnsupportedMediaError("no moov")
    return Structure(size, file_type, moov, moov_header, first_mdat, False, has_items)


def read(fd: int, place: range, limit: int) -> memoryview:
    """Read a byte range of a file.

    Raises:
        UnsupportedMediaError: the range is longer than `limit`, or the file has become shorter.
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
    """Check that metadata contains no offsets of untimed items (8.11.3), which would have to be changed too.

    Raises:
        UnsupportedMediaError: there may be some.
    """
    if box.kind in {b"meta", b"udta"} and b"iloc" in bytes(box.body):
        raise UnsupportedMediaError("untimed items")
