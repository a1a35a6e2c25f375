"""Which bytes of the source follow a header, and where chunks are among them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise

from mp4.boxes import HEADER, Container, full_box, header_of
from mp4.columns import U32_MAX, Numbers, packed, shifted
from mp4.errors import UnsupportedMediaError
from mp4.virtual_file import Span

GAP_BYTES = 256 * 2**10
"""Unneeded bytes between needed ones are sent along up to so many: a stretch more costs more."""
MAX_SPANS = 256
"""With more stretches than this, the narrowest gaps between them are sent along, too."""


class Payload:
    """Stretches of the source, one behind the other.

    Args:
        stretches: (begin, end) in the source, rising and disjoint; one may be empty.
    """

    def __init__(self, stretches: Sequence[tuple[int, int]]) -> None:
        self._begins = [begin for begin, _ in stretches]
        self._ends = [end for _, end in stretches]
        self._places: list[int] = []
        self.size = 0
        for begin, end in stretches:
            self._places.append(self.size)
            self.size += end - begin
        self.spans = tuple(Span(begin, end - begin) for begin, end in stretches if end > begin)

    def places(self, offsets: Numbers, base: int, code: str) -> Numbers:
        """Where these places of the source are in a file in which `base` bytes come before the payload.

        Raises:
            UnsupportedMediaError: one is not in the payload.
        """
        if not offsets:
            return offsets
        first, last = self._stretch_of(min(offsets)), self._stretch_of(max(offsets))
        if first == last:
            # What has 64 bits is given fewer after it has become smaller, and the other way round.
            roomy = array(code, offsets) if code == "Q" else offsets
            moved = shifted(roomy, base + self._places[first] - self._begins[first])
            return moved if moved.typecode == code else array(code, moved)
        return array(code, [base + self._place_of(offset) for offset in offsets])

    def _place_of(self, offset: int) -> int:
        stretch = self._stretch_of(offset)
        return self._places[stretch] + offset - self._begins[stretch]

    def _stretch_of(self, offset: int) -> int:
        place = bisect_right(self._begins, offset) - 1
        if place < 0 or offset > self._ends[place]:
            raise UnsupportedMediaError("media where there should be none")
        return place


@dataclass(frozen=True, slots=True)
class ChunkOffsets:
    """A box of chunk offsets to be written (8.7.5): `co64` where one could need it, `stco` otherwise."""

    offsets: Numbers
    """In the source."""
    payload: Payload

    def size(self, *, wide: bool) -> int:
        """Its length."""
        return HEADER + 8 + len(self.offsets) * (8 if wide else 4)

    def write(self, out: list[bytes | memoryview], base: int, *, wide: bool) -> None:
        """Adds its bytes to others."""
        places = self.payload.places(self.offsets, base, "Q" if wide else "I")
        rows = len(places).to_bytes(4, "big"), packed(places)
        out.append(full_box(b"co64" if wide else b"stco", 0, *rows))


def payload_of(stretches: Iterable[tuple[int, int]]) -> Payload:
    """All of these stretches (begin, end) and, where they are near each other, what lies between."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(stretches):
        if merged and begin - merged[-1][1] <= GAP_BYTES:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    if len(merged) > MAX_SPANS:
        widest = nlargest(
            MAX_SPANS - 1, range(1, len(merged)), key=lambda place: merged[place][0] - merged[place - 1][1]
        )
        places = pairwise([0, *sorted(widest), len(merged)])
        merged = [(merged[first][0], merged[after - 1][1]) for first, after in places]
    return Payload(merged)


def header_bytes(before: bytes | memoryview, moov: Container, payload: int, *, wrap: bool) -> bytes:
    """The header of a virtual file: what comes before `moov`, and `moov` made for its place.

    Args:
        before: as it is.
        moov: the box to write.
        payload: bytes that follow the header.
        wrap: whether they are the body of a `mdat` whose header is to be written.
    """
    mdat = header_of(b"mdat", payload) if wrap else b""
    wide = False
    base = len(before) + moov.size(wide=wide) + len(mdat)
    if base + payload > U32_MAX:
        wide = True
        base = len(before) + moov.size(wide=wide) + len(mdat)
    out: list[bytes | memoryview] = [before]
    moov.write(out, base, wide=wide)
    out.append(mdat)
    return b"".join(out)
