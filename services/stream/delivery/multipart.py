"""The body of a response to several ranges: `multipart/byteranges` (RFC 9110, 14.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.stream.delivery.ranges import ByteRange


@dataclass(frozen=True, slots=True)
class Multipart:
    """A framed body."""

    content_type: str
    parts: tuple[tuple[bytes, ByteRange], ...]
    """Each range, and the bytes that come before it."""
    tail: bytes

    @property
    def length(self) -> int:
        """Return the length of the whole body, in bytes."""
        return sum(len(head) + span.count for head, span in self.parts) + len(self.tail)


def frame(ranges: Sequence[ByteRange], size: int, content_type: str, boundary: str) -> Multipart:
    """Frame ranges of a file of `size` bytes; `boundary` must not occur in it, so take a long random one."""
    parts = []
    opening = f"--{boundary}\r\n"
    for span in ranges:
        content_range = f"bytes {span.first}-{span.last}/{size}"
        head = f"{opening}Content-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n"
        parts.append((head.encode(), span))
        opening = f"\r\n--{boundary}\r\n"
    return Multipart(f"multipart/byteranges; boundary={boundary}", tuple(parts), f"\r\n--{boundary}--\r\n".encode())
