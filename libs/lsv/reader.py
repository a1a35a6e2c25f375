"""Read packs: header first, then any record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, Self

from lsv import header, layout, records
from lsv.errors import TrailingDataError, TruncatedPackError, WrongPackError
from lsv.keys import MAC_BYTES
from lsv.layout import Prelude

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from uuid import UUID

    from lsv.header import Header
    from lsv.keys import ContentKey, PackKeys


class ByteSource(Protocol):
    """Where a pack is read from."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`; fewer only where the source ends."""


class FileSource:
    """A pack in a file, which stays open until `close`."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raise OSError if it can't be read."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return os.fstat(self._fd).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`; fewer only where the file ends."""
        parts = []
        while count and (part := os.pread(self._fd, count, offset)):
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class PackReader:
    """An open pack whose header is authentic, and whose length is what the header says."""

    def __init__(self, source: ByteSource, head: Header, keys: PackKeys) -> None:
        """Take what `open` has checked."""
        self._source = source
        self._keys = keys
        self.header = head

    @classmethod
    def open(cls, source: ByteSource, key: ContentKey, *, content_id: UUID, content_version: int) -> Self:
        """Read and authenticate the header.

        Content and version are what the caller was promised: an authentic pack of an older version is refused.

        Raises:
            NotAPackError, UnsupportedPackError: it is no pack that this library reads.
            TruncatedPackError, TrailingDataError: it is shorter or longer than it must be.
            WrongKeyError, HeaderAuthenticationError: the key is wrong, or the header was changed.
            MalformedHeaderError: the header breaks a rule of the format.
            WrongPackError: it is of other content, or of another version.
        """
        prelude = Prelude.decode(source.read_at(0, layout.PRELUDE_BYTES))
        raw = source.read_at(0, prelude.authenticated_bytes + MAC_BYTES)
        head, keys = header.decode(raw, key)
        head.check()
        description = head.description
        if (description.content_id, description.content_version) != (content_id, content_version):
            raise WrongPackError(f"the pack is of content {description.content_id}, {description.content_version}")
        if source.size < head.pack_bytes:
            raise TruncatedPackError("the pack ends before its last record")
        if source.size > head.pack_bytes:
            raise TrailingDataError("bytes follow the last record")
        return cls(source, head, keys)

    def read(self, index: int) -> bytes:
        """Return the plaintext of a record; 0 is the initialisation segment.

        Raises:
            RecordAuthenticationError: it was changed.
            TruncatedPackError: the source has become shorter.
        """
        entry = self.header.entries[index]
        record = self._source.read_at(self.header.offsets[index], entry.length)
        if len(record) < entry.length:
            raise TruncatedPackError(f"the pack ends within record {index}")
        return records.unseal(record, index=index, description=self.header.description, keys=self._keys)

    def verify(self) -> None:
        """Decrypt every record, one at a time. Raise what `read` raises."""
        for index in range(len(self.header.entries)):
            self.read(index)
