"""Read untrusted boxes (ISO/IEC 14496-12, 4.2) from memory, and write boxes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mp4.columns import U32_MAX
from mp4.errors import UnsupportedMediaError

MAX_CHILDREN = 4096
"""Most boxes in one container: no writer puts more into one, and each takes many times its size in memory here."""
HEADER = 8
LARGE_HEADER = 16


@dataclass(frozen=True, slots=True)
class Box:
    """A box in memory."""

    kind: bytes
    raw: memoryview
    """The whole box."""
    body: memoryview
    """The bytes that follow its header."""

    @property
    def version(self) -> int:
        """The version of a FullBox (4.2.2).

        Raises:
            UnsupportedMediaError: the box is too short to be one.
        """
        return self.part(0, 4)[0]

    def part(self, at: int, count: int) -> memoryview:
        """Return `count` bytes of the body from `at`.

        Raises:
            UnsupportedMediaError: the body is shorter than that.
        """
        if at + count > len(self.body):
            raise UnsupportedMediaError(f"{self.kind!r} ends too early")
        return self.body[at : at + count]

    def number(self, at: int, size: int = 4) -> int:
        """Return an unsigned number of `size` bytes of the body. Raise UnsupportedMediaError if it is too short."""
        return int.from_bytes(self.part(at, size), "big")

    def rows(self, at: int, width: int) -> memoryview:
        """Return the rows, of `width` bytes each, of a table whose row count is at `at`.

        Raises:
            UnsupportedMediaError: the table has fewer rows than its count.
        """
        return self.part(at + 4, self.number(at) * width)


def parse_header(head: bytes | memoryview, room: int) -> tuple[bytes, int, int] | None:
    """Return kind, length of the header and length of the whole of the box that begins with `head`.

    The whole may be longer than `room`. A box "to the end of the file" is `room` bytes long. Return None if this can be
    no box, or its header is cut off.
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
    return (kind, header, size) if header <= size else None


def read_header(head: bytes | memoryview, room: int) -> tuple[bytes, int, int] | None:
    """Return the same as `parse_header`, but None for a box that does not fit into `room` bytes."""
    header = parse_header(head, room)
    return header if header is not None and header[2] <= room else None


def children(body: memoryview) -> list[Box]:
    """Return the boxes in a container's body, without the few bytes that QuickTime may write behind the last one.

    Raises:
        UnsupportedMediaError: the body contains something else, or more than `MAX_CHILDREN`.
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
    """Return the box of one of these kinds, or None.

    Raises:
        UnsupportedMediaError: there are several, and players differ about which one counts.
    """
    found = [box for box in boxes if box.kind in kinds]
    if len(found) > 1:
        raise UnsupportedMediaError(f"several {found[0].kind!r}")
    return found[0] if found else None


def need(boxes: Iterable[Box], *kinds: bytes) -> Box:
    """Return the only box of one of these kinds. Raise UnsupportedMediaError if there is none, or several."""
    box = only(boxes, *kinds)
    if box is None:
        raise UnsupportedMediaError(f"no {kinds[0]!r}")
    return box


class Movable(Protocol):
    """A part of a box to write whose bytes depend on the offsets of the media in the new file.

    `wide` means that these offsets need 64 bits; `base` is the number of bytes before the media.
    """

    def size(self, *, wide: bool) -> int:
        """Return its length in bytes."""

    def write(self, out: list[bytes | memoryview], base: int, *, wide: bool) -> None:
        """Append its bytes to `out`."""


BoxPart = bytes | memoryview | Movable


@dataclass(frozen=True, slots=True)
class Container:
    """A box to write, made of parts."""

    kind: bytes
    parts: Sequence[BoxPart]

    def size(self, *, wide: bool) -> int:
        """Return its length in bytes."""
        return HEADER + sum(_size(part, wide=wide) for part in self.parts)

    def write(self, out: list[bytes | memoryview], base: int, *, wide: bool) -> None:
        """Append its bytes to `out`."""
        out.append(header_of(self.kind, self.size(wide=wide) - HEADER))
        for part in self.parts:
            if isinstance(part, bytes | memoryview):
                out.append(part)
            else:
                part.write(out, base, wide=wide)


def _size(part: BoxPart, *, wide: bool) -> int:
    return len(part) if isinstance(part, bytes | memoryview) else part.size(wide=wide)


def header_of(kind: bytes, body_size: int) -> bytes:
    """Return the header of a box with a body of `body_size` bytes."""
    if HEADER + body_size <= U32_MAX:
        return struct.pack(">I4s", HEADER + body_size, kind)
    return struct.pack(">I4sQ", 1, kind, LARGE_HEADER + body_size)


def full_box(kind: bytes, version: int, *fields: bytes | memoryview, flags: int = 0) -> bytes:
    """Return a FullBox (4.2.2) as bytes."""
    body = b"".join((struct.pack(">I", version << 24 | flags), *fields))
    return header_of(kind, len(body)) + body
