"""Boxes (ISO/IEC 14496-12, 4.2): read from memory without trust, and written."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mp4.columns import U32_MAX
from mp4.errors import UnsupportedMediaError

MAX_CHILDREN = 4096
"""No writer puts more boxes into one; each costs memory here many times its size."""
HEADER = 8
LARGE_HEADER = 16


@dataclass(frozen=True, slots=True)
class Box:
    """A box in memory."""

    kind: bytes
    raw: memoryview
    """The whole box."""
    body: memoryview
    """What follows its header."""

    @property
    def version(self) -> int:
        """The version of a FullBox (4.2.2).

        Raises:
            UnsupportedMediaError: it is too short to be one.
        """
        return self.part(0, 4)[0]

    def part(self, at: int, count: int) -> memoryview:
        """Some bytes of its body.

        Raises:
            UnsupportedMediaError: it is shorter than that.
        """
        if at + count > len(self.body):
            raise UnsupportedMediaError(f"{self.kind!r} ends too early")
        return self.body[at : at + count]

    def number(self, at: int, size: int = 4) -> int:
        """An unsigned number of its body. Raises UnsupportedMediaError."""
        return int.from_bytes(self.part(at, size), "big")

    def rows(self, at: int, width: int) -> memoryview:
        """The rows of `width` bytes of a table whose count is at `at`.

        Raises:
            UnsupportedMediaError: it promises more rows than it has.
        """
        return self.part(at + 4, self.number(at) * width)


def read_header(head: bytes | memoryview, room: int) -> tuple[bytes, int, int] | None:
    """Kind, length of the header and length of the whole of the box that begins with `head`; `room` bytes hold it.

    A length of 0 is one to the end of the file. None when there can be no such box.
    """
    if len(head) < HEADER:
        return None
    size, kind = struct.unpack_from(">I4s", head)
    header = HEADER
    if size == 1:
        if len(head) < LARGE_HEADER:
            return None
        header = LARGE_HEADER
        (size,) = struct.unpack_from(">Q", head, HEADER)
    elif size == 0:
        size = room
    return (kind, header, size) if header <= size <= room else None


def children(body: memoryview) -> list[Box]:
    """The boxes in a container's body. A few bytes at its end that can be no box are QuickTime's, and left out.

    Raises:
        UnsupportedMediaError: it holds something else, or far too many.
    """
    found: list[Box] = []
    at = 0
    while len(body) - at >= HEADER:
        header = read_header(body[at : at + LARGE_HEADER], len(body) - at)
        if header is None or len(found) == MAX_CHILDREN:
            raise UnsupportedMediaError("a box does not hold boxes")
        kind, skip, size = header
        found.append(Box(kind, body[at : at + size], body[at + skip : at + size]))
        at += size
    return found


def only(boxes: Iterable[Box], *kinds: bytes) -> Box | None:
    """The box of one of these kinds, if there is one.

    Raises:
        UnsupportedMediaError: there are several, and readers would differ about which one counts.
    """
    found = [box for box in boxes if box.kind in kinds]
    if len(found) > 1:
        raise UnsupportedMediaError(f"several {found[0].kind!r}")
    return found[0] if found else None


def need(boxes: Iterable[Box], *kinds: bytes) -> Box:
    """The one box of one of these kinds. Raises UnsupportedMediaError when there is none, or several."""
    box = only(boxes, *kinds)
    if box is None:
        raise UnsupportedMediaError(f"no {kinds[0]!r}")
    return box


class Movable(Protocol):
    """A part of a box to be written whose bytes depend on where the media will be.

    `wide` says whether their places need 64 bits, `base` how many bytes come before them.
    """

    def size(self, *, wide: bool) -> int:
        """Its length."""

    def write(self, out: list[bytes | memoryview], base: int, *, wide: bool) -> None:
        """Adds its bytes to others."""


Part = bytes | memoryview | Movable


@dataclass(frozen=True, slots=True)
class Container:
    """A box to be written, made of parts."""

    kind: bytes
    parts: Sequence[Part]

    def size(self, *, wide: bool) -> int:
        """Its length."""
        return HEADER + sum(_size(part, wide=wide) for part in self.parts)

    def write(self, out: list[bytes | memoryview], base: int, *, wide: bool) -> None:
        """Adds its bytes to others."""
        out.append(header_of(self.kind, self.size(wide=wide) - HEADER))
        for part in self.parts:
            if isinstance(part, bytes | memoryview):
                out.append(part)
            else:
                part.write(out, base, wide=wide)


def _size(part: Part, *, wide: bool) -> int:
    return len(part) if isinstance(part, bytes | memoryview) else part.size(wide=wide)


def header_of(kind: bytes, body_size: int) -> bytes:
    """The header of a box with a body of so many bytes."""
    if HEADER + body_size <= U32_MAX:
        return struct.pack(">I4s", HEADER + body_size, kind)
    return struct.pack(">I4sQ", 1, kind, LARGE_HEADER + body_size)


def full_box(kind: bytes, version: int, *fields: bytes | memoryview, flags: int = 0) -> bytes:
    """A FullBox (4.2.2) as bytes."""
    body = b"".join((struct.pack(">I", version << 24 | flags), *fields))
    return header_of(kind, len(body)) + body
