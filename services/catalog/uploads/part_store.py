"""The port that keeps the bytes of unfinished uploads: over days, and for any replica to go on with."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from services.catalog.models import ResumableUpload


class Hasher(Protocol):
    """What hashlib returns."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the hash of the bytes so far."""

    def hexdigest(self) -> str:
        """Return the same in hexadecimal."""

    def copy(self) -> Hasher:
        """Return an independent copy."""


@dataclass(slots=True)
class Digest:
    """The SHA-256 of the first bytes of a file."""

    count: int = 0
    hasher: Hasher = field(default_factory=hashlib.sha256)

    def update(self, data: bytes | memoryview) -> None:
        """Add the bytes that follow."""
        self.hasher.update(data)
        self.count += len(data)

    def copy(self) -> Digest:
        """Return an independent copy."""
        return Digest(self.count, self.hasher.copy())


class UploadLostError(OSError):
    """The bytes that the database knows of are not in the store."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload, as the row keeps it."""

    number: int
    """From 1."""
    tag: str
    """The entity tag; empty for a part of a file that was completed before."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What of an upload would survive a crash, once the row says so."""

    offset: int
    """So many bytes of the file."""
    digest: Digest
    """Of a beginning of them."""
    parts: Sequence[Part] = ()
    """Those that the row does not have yet."""
    tail: str | None = None
    """The name of what holds the bytes behind the last part."""


Claim: TypeAlias = Callable[[str, int], Awaitable[None]]
"""Stores the id of a multipart upload and the size of its parts in the row; raises ApiError without the lease."""


class OpenUpload(Protocol):
    """An unfinished upload, open for writing at its offset by the request that holds its lease. It is not shared."""

    @property
    def offset(self) -> int:
        """Return where the next byte belongs."""

    @property
    def digest(self) -> Digest:
        """Return the hash of a beginning of the file, at most up to the offset."""

    async def write(self, blocks: Iterable[bytes], checksum: Hasher | None = None) -> None:
        """Write what follows. Raises OSError.

        Args:
            blocks: the bytes.
            checksum: takes the same bytes.
        """

    async def store(self, *, is_last: bool) -> Progress:
        """Have bytes where they survive a crash.

        Args:
            is_last: whether no more will be written: then all of them, and else as many as that is worth.

        Raises:
            OSError: the store did not take them.
        """

    async def clean(self, *, is_over: bool) -> None:
        """Remove what is not needed any more once the row has the last progress, or the upload is over."""

    async def finish(self) -> str:
        """Have the whole file at its reference; return its SHA-256. The row may still refuse it, or be gone.

        Raises:
            UploadLostError: bytes are missing.
            OSError: the store did not take it.
        """

    def close(self) -> None:
        """Give up what is open; it does not wait."""


class PartStore(Protocol):
    """Keeps the bytes of unfinished uploads."""

    async def open(
        self, upload: ResumableUpload, tags: Sequence[str], limit: int, digest: Digest | None, claim: Claim
    ) -> OpenUpload:
        """Open an upload for the request that holds its lease.

        Args:
            upload: the row.
            tags: entity tags of its parts, in their order.
            limit: how many bytes the file has at most.
            digest: of a beginning of the file, if it is in memory.
            claim: see there.

        Raises:
            UploadLostError: bytes that were confirmed are missing.
            OSError: the store is missing or full.
        """

    async def remove(self, upload: ResumableUpload) -> None:
        """Remove the bytes of an upload that is no video, wherever an interrupted end has left them. Raises OSError."""

    async def leftovers(self, older_than: float) -> list[str]:
        """Return ids of uploads that have bytes, not changed since `older_than`, in seconds since 1970."""

    async def discard(self, upload_id: str) -> None:
        """Remove the bytes of an upload without a row. Raises OSError."""

    def close(self) -> None:
        """Let running writes end, and take no more."""
