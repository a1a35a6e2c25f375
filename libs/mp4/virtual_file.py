"""A virtual file: a header in memory, followed by spans of an existing file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Span:
    """A byte range of the source file."""

    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class VirtualFile:
    """A playable file made of a header and spans of a source file."""

    header: bytes
    """Its first bytes; empty if the source can be sent as it is."""
    spans: tuple[Span, ...]
    """The spans of the source that follow, in this order; none is empty."""
    start_sec: float
    """Where it begins, in seconds of the source's time as players show it: at a key frame, or 0."""
    first_ms: int
    until_ms: int
    """This file is the answer to requested times from `first_ms` up to, not including, `until_ms`, in milliseconds."""
    digest: str
    """Differs between the virtual files of one source; together with the source's validators it is a strong ETag."""

    @classmethod
    def made(
        cls, header: bytes, spans: tuple[Span, ...], *, start_sec: float, first_ms: int, until_ms: int
    ) -> VirtualFile:
        """Return a new virtual file with its digest.

        The digest covers the header itself, so that replicas of different versions of this code can't give the same tag
        to different bytes.
        """
        places = b"".join(struct.pack(">QQ", span.offset, span.count) for span in spans)
        digest = blake2b(header, digest_size=12, key=blake2b(places).digest()).hexdigest()
        return cls(header, spans, start_sec, first_ms, until_ms, digest)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.header) + sum(span.count for span in self.spans)
