"""The representation that a URL for bytes selects at one moment: its length, validators, and where its bytes lie."""

from __future__ import annotations

import time

from mp4 import VirtualFile
from services.stream.delivery.file_response import FileSegment, RawHeaders
from services.stream.delivery.preconditions import Validators
from services.stream.delivery.ranges import ByteRange
from services.stream.domain import Source
from services.stream.storage.open_files import OpenFile
from services.stream.storage.port import StoredFile

# The browser may keep what it played, for this user alone; before each use it asks, and so is authorised, again.
_CACHE_CONTROL = b"private, no-cache, no-transform"
# A pack is kept by players that have a licence, and by no cache.
_CACHE_CONTROL_PROTECTED = b"no-store, no-transform"
_SETTLED_SEC = 2


class Representation:
    """The selected representation (RFC 9110, 3.2): a source, its open file, and the headers of every response.

    Args:
        source: catalog's description of the video.
        file: one state of its bytes, kept open by this object.
        virtual: the file that is sent in its place; the file itself by default.
    """

    __slots__ = ("_settled", "_virtual", "file", "headers", "size", "source", "typed_headers")

    def __init__(self, source: Source, file: StoredFile, virtual: VirtualFile | None = None) -> None:
        self.source = source
        self.file = file
        self.size = virtual.size if virtual else file.size
        self._virtual = virtual
        self._settled: Validators | None = None
        validators = self.validators()
        self.headers: RawHeaders = [
            (b"accept-ranges", b"bytes"),
            (b"cache-control", _CACHE_CONTROL_PROTECTED if source.is_protected else _CACHE_CONTROL),
            (b"etag", validators.etag.encode()),
            *([(b"last-modified", validators.last_modified.encode())] if validators.last_modified else ()),
        ]
        """Of every response about it."""
        self.typed_headers: RawHeaders = [
            *self.headers,
            (b"content-type", source.content_type.encode()),
        ]
        """Of responses with its bytes, other than `multipart/byteranges`."""

    def location(self, saved_as: str | None = None) -> str | None:
        """Return an address where the viewer finds just this, for a while; None when it goes through here.

        Args:
            saved_as: the `Content-Disposition` that it is to have there.
        """
        # Local files, nearly all, have none: they are not asked, as this is on the way of every request.
        if self._virtual is not None or isinstance(self.file, OpenFile):
            return None
        # Scripts fetch packs, and could not read what comes from another origin.
        if self.source.is_protected:
            return None
        return self.file.location(self.source.content_type, saved_as)

    def validators(self) -> Validators:
        """Return its entity tag and date (RFC 9110, 8.8); whether the date is a strong one changes with time, once."""
        if self._settled is not None:
            return self._settled
        now = time.time()
        validators = Validators.of(
            state=self.file.state,
            mtime_ns=self.file.mtime_ns,
            version=self.source.version,
            layout=f"-{self._virtual.digest}" if self._virtual else "",
            now=now,
        )
        if validators.modified is None or now - validators.modified >= _SETTLED_SEC:
            self._settled = validators
        return validators

    def segments(self, wanted: ByteRange, head: bytes = b"") -> list[FileSegment]:
        """Return where the bytes of a range lie; `head` comes before the first of them."""
        if self._virtual is None:
            return [FileSegment(wanted.first, wanted.count, head)]
        header = self._virtual.header[wanted.first : wanted.last + 1]
        segments = [FileSegment(0, 0, head + header)] if head or header else []
        begin = len(self._virtual.header)
        for span in self._virtual.spans:
            first, last = max(wanted.first, begin), min(wanted.last, begin + span.count - 1)
            if first <= last:
                segments.append(FileSegment(span.offset + first - begin, last - first + 1))
            begin += span.count
        return segments
