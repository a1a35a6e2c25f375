"""Which bytes of the source follow a header, and where chunks are among them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise

from services.stream.mp4.boxes import Container, header_of
from services.stream.mp4.errors import Unsupported
from services.stream.mp4.numbers import U32_MAX, Numbers
from services.stream.mp4.virtual_file import Span

GAP_BYTES = 256 * 2**10
"""Unneeded bytes between needed ones are sent along up to so many: a stretch more costs more."""
MAX_SPANS = 256


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

    def locate(self, offsets: Numbers) -> Numbers:
        """Where these places of the source are in the payload.

        Raises:
            Unsupported: one is not in it.
        """
        if not offsets:
            return offsets
        lowest, highest = self._stretch_of(min(offsets)), self._stretch_of(max(offsets))
        if lowest == highest:
            back = self._begins[lowest] - self._places[lowest]
            return array("Q", [offset - back for offset in offsets])
        return array("Q", map(self._place_of, offsets))

    def _place_of(self, offset: int) -> int:
        stretch = self._stretch_of(offset)
        return self._places[stretch] + offset - self._begins[stretch]

    def _stretch_of(self, offset: int) -> int:
        place = bisect_right(self._begins, offset) - 1
        if place < 0 or offset > self._ends[place]:
            raise Unsupported("media where there should be none")
        return place


def stretches_of(begins: Numbers, ends: Numbers) -> Iterable[tuple[int, int]]:
    """The stretches of a file that a track's chunks cover; chunks near each other make one."""
    following = zip(ends, islice(begins, 1, None), strict=False)
    breaks = [n for n, (end, begin) in enumerate(following, 1) if not 0 <= begin - end <= GAP_BYTES]
    for first, after in pairwise([0, *breaks, len(begins)]):
        yield begins[first], ends[after - 1]


def payload_of(stretches: Iterable[tuple[int, int]]) -> Payload:
    """All of these stretches and, where they are near each other, what lies between."""
    gap = GAP_BYTES
    merged = _merged(sorted(stretches), gap)
    while len(merged) > MAX_SPANS:
        gap *= 2
        merged = _merged(merged, gap)
    return Payload(merged)


def _merged(stretches: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in stretches:
        if merged and begin - merged[-1][1] <= gap:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged


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
