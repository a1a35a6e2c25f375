"""Nero's chapter list (`chpl`), which most players read in addition to, or instead of, a chapter track."""

from __future__ import annotations

from mp4.boxes import Box, children, full_box, header_of
from mp4.errors import UnsupportedMediaError

UNITS_PER_SEC = 10_000_000
_TIME_BYTES = 8


def chapters_since(udta: Box, time: int) -> bytes | memoryview:
    """Return user data (ISO/IEC 14496-12, 8.10.1) whose chapter list begins at a time, in units of 100 ns.

    A list that can't be read is left out; user data that are not made of boxes stay unchanged.
    """
    try:
        boxes = children(udta.body)
    except UnsupportedMediaError:
        return udta.raw
    if not any(box.kind == b"chpl" for box in boxes):
        return udta.raw
    body = b"".join(_moved(box, time) if box.kind == b"chpl" else box.raw for box in boxes)
    return header_of(b"udta", len(body)) + body


def _moved(chpl: Box, time: int) -> bytes:
    try:
        chapters = _read(chpl)
    except UnsupportedMediaError:
        return b""
    # The chapter that is running at that time becomes the first one.
    begun = sum(start <= time for start, _ in chapters)
    left = chapters[max(0, begun - 1) :]
    rows = (max(0, start - time).to_bytes(_TIME_BYTES, "big") + title for start, title in left)
    return full_box(b"chpl", chpl.version, _reserved(chpl), len(left).to_bytes(1, "big"), *rows)


def _reserved(chpl: Box) -> memoryview:
    return chpl.part(4, 4 if chpl.version else 0)


def _read(chpl: Box) -> list[tuple[int, bytes]]:
    """Return times and titles; a title begins with its length. Raise UnsupportedMediaError if the list is cut off."""
    at = 4 + len(_reserved(chpl))
    chapters: list[tuple[int, bytes]] = []
    for _ in range(chpl.number(at, 1)):
        start = chpl.number(at + 1, _TIME_BYTES)
        title = chpl.part(at + 1 + _TIME_BYTES, 1 + chpl.number(at + 1 + _TIME_BYTES, 1))
        chapters.append((start, bytes(title)))
        at += _TIME_BYTES + len(title)
    return chapters
