"""A file that is not there: a header in memory, followed by stretches of a file that is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the source file, in bytes."""

    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class VirtualFile:
    """A playable file made of a source file's bytes."""

    header: bytes
    """Its first bytes; empty when the source can be sent as it is."""
    spans: tuple[Span, ...]
    """The source's bytes that follow, in this order; none is empty."""
    start_sec: float
    """Where it begins in the time of the source as players show it: at a key frame, or 0."""
    first_ms: int
    until_ms: int
    """Asked times from the one up to but not including the other, in milliseconds, are answered by this file."""
    digest: str
    """Tells the virtual files of one state of a source apart: with the source's validators it makes a strong ETag."""

    @classmethod
    def made(
        cls, header: bytes, spans: tuple[Span, ...], *, start_sec: float, first_ms: int, until_ms: int
    ) -> VirtualFile:
        """A new one.

        Its digest covers the header itself, so that replicas of different versions of this code can't give one tag to
        different bytes.
        """
        places = b"".join(struct.pack(">QQ", span.offset, span.count) for span in spans)
        digest = blake2b(header, digest_size=12, key=blake2b(places).digest()).hexdigest()
        return cls(header, spans, start_sec, first_ms, until_ms, digest)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.header) + sum(span.count for span in self.spans)
