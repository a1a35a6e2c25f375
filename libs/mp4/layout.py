"""Choose the bytes of the source that follow a header, and compute the chunk offsets among them."""

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
"""Gaps of unneeded bytes up to this size are sent too, because one more span costs more."""
MAX_SPANS = 256
"""Most spans; with more, the narrowest gaps between them are sent too."""


class Payload:
    """Spans of the source, concatenated.

    Args:
        stretches: (begin, end) in the source in bytes, ascending and disjoint; one may be empty.
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
        """Return the offsets in a file in which `base` bytes come before the payload.

        Args:
            offsets: in the source, in bytes.
            base: bytes before the payload.
            code: the type code of the result: `I` or `Q`.

        Raises:
            UnsupportedMediaError: an offset is not in the payload.
        """
        if not offsets:
            return offsets
        first, last = self._stretch_of(min(offsets)), self._stretch_of(max(offsets))
        if first == last:
            # Widen before adding; narrow only after the offsets have become smaller.
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
    """A box of chunk offsets to write (8.7.5): `co64` if an offset could need 64 bits, `stco` otherwise."""

    offsets: Numbers
    """In the source, in bytes."""
    payload: Payload

    def size(self, *, wide: bool) -> int:
        """Return its length in bytes."""
        return HEADER + 8 + len(self.offsets) * (8 if wide else 4)

    def write(self, out: list[bytes | memoryview], base: int, *, wide: bool) -> None:
        """Append its bytes to `out`."""
        places = self.payload.places(self.offsets, base, "Q" if wide else "I")
        rows = len(places).to_bytes(4, "big"), packed(places)
        out.append(full_box(b"co64" if wide else b"stco", 0, *rows))


def payload_of(stretches: Iterable[tuple[int, int]]) -> Payload:
    """Return the payload of these spans (begin, end), including small gaps between them."""
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
    """Return the header of a virtual file: the bytes before `moov`, and `moov` with the new offsets.

    Args:
        before: written unchanged.
        moov: the box to write.
        payload: number of bytes that follow the header.
        wrap: whether these are the body of a `mdat` whose header has to be written.
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
