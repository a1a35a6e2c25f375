"""Join fragments to chunks of about two seconds that begin with key frames where they can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from services.thumbnailer.media.packing.errors import PackingError
from services.thumbnailer.media.packing.fragments import Fragment

TARGET_SEC: Final = 2
"""What a chunk should last: a seek waits for a whole one."""
LONGEST_BEFORE_KEY_FRAME: Final = Fraction(5, 2)
"""A group of pictures that would make a chunk longer than this begins one of its own."""
LONGEST_SEC: Final = 3
"""A chunk that lasts this long ends, even between pictures."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole fragments."""

    data: bytes
    duration: int
    """Ticks of the video track until the next chunk begins, or to the end of the film."""
    begins_with_key_frame: bool


class _Collected:
    """The fragments of the chunk that is being joined."""

    def __init__(self, first: Fragment, start: int) -> None:
        self.start = start
        self.begins_with_key_frame = first.begins_with_key_frame
        self.parts = [first.data]
        self.size = len(first.data)

    def add(self, fragment: Fragment) -> None:
        self.parts.append(fragment.data)
        self.size += len(fragment.data)

    def until(self, end: int) -> Chunk:
        return Chunk(b"".join(self.parts), end - self.start, self.begins_with_key_frame)


def join(fragments: Iterable[Fragment], timescale: int, max_bytes: int) -> Iterator[Chunk]:
    """Yield chunks of at most `max_bytes`; one fragment must not be larger. The first lasts from time 0.

    Raises:
        PackingError: there are no fragments, the first has no key frame, or one begins before the one before it and
            does not fit beside it.
    """
    current: _Collected | None = None
    end = Fraction(0)
    for fragment, next_start in _with_next_start(fragments, timescale):
        end = max(end, fragment.end)
        if current is None:
            if not fragment.begins_with_key_frame:
                raise PackingError("the film does not begin with a key frame")
            current = _Collected(fragment, 0)
        elif _must_end(current, fragment, next_start, timescale, max_bytes):
            yield current.until(fragment.start)
            current = _Collected(fragment, fragment.start)
        else:
            current.add(fragment)
    if current is None:
        raise PackingError("a film without fragments")
    yield current.until(max(round(end * timescale), current.start + 1))


def _with_next_start(fragments: Iterable[Fragment], timescale: int) -> Iterator[tuple[Fragment, int]]:
    """Yield each fragment, and when the next one begins, or the last one ends."""
    before: Fragment | None = None
    for fragment in fragments:
        if before is not None:
            yield before, fragment.start
        before = fragment
    if before is not None:
        yield before, round(before.end * timescale)


def _must_end(current: _Collected, fragment: Fragment, next_start: int, timescale: int, max_bytes: int) -> bool:
    """Return whether the chunk ends before this fragment."""
    lasts = fragment.start - current.start
    if current.size + len(fragment.data) > max_bytes:
        if lasts <= 0:
            raise PackingError("fragments are not in order of time")
        return True
    if lasts <= 0:
        return False
    if fragment.begins_with_key_frame:
        if not current.begins_with_key_frame:
            # Inside of a chunk that can't be decoded by itself, the key frame could not be found by a seek.
            return True
        would_last = next_start - current.start
        return lasts >= TARGET_SEC * timescale or would_last > LONGEST_BEFORE_KEY_FRAME * timescale
    return lasts >= LONGEST_SEC * timescale
