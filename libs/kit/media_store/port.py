"""The port that all stores implement into which Marquee writes media files.

A reference (`videos/<id>/source`) names a file; what precedes its last slash is the file's folder, which needs no
making. All methods raise InvalidReferenceError for a malformed reference, and OSError when the store is away. A store
without room raises an OSError with `errno.ENOSPC`, or the disk's own `EDQUOT` or `EFBIG`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A folder of a listing."""

    name: str
    modified: float
    """Time of the last change in it, in seconds since 1970."""


class MediaWriter(Protocol):
    """One file on its way into the store."""

    @property
    def size(self) -> int:
        """Return how many bytes were written."""

    async def write(self, data: bytes) -> None:
        """Write the bytes that follow.

        Raises:
            OSError: the store did not take them; ENOSPC beyond the announced size, too. Nothing more can be written.
        """

    async def complete(self) -> None:
        """Put the file at its reference, in place of an older one; it is durable when this returns.

        Raises:
            OSError: the store did not take it. It may be there nevertheless if the answer was lost, but then whole.
        """


class WritableStore(Protocol):
    """A media store that is written."""

    async def prepare(self) -> None:
        """Make a new store ready; raise OSError when it is missing or can't be written."""

    async def verify(self) -> None:
        """Raise OSError when the store is missing; unlike `prepare`, never make one."""

    async def free_bytes(self) -> int | None:
        """Return how many bytes can still be written; None where the store knows no limit. Raises OSError."""

    def writer(self, reference: str, max_bytes: int) -> AbstractAsyncContextManager[MediaWriter]:
        """Begin a file. What was not completed when the block ends is removed; after a crash, `clear_unfinished` does.

        Args:
            reference: where it is to be.
            max_bytes: the size that it has at most.
        """

    async def put(self, reference: str, data: bytes) -> None:
        """Store a small file, in place of an older one: completely or not at all. Raises OSError."""

    async def read(self, reference: str, max_bytes: int) -> bytes:
        """Return a small file.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it can't be read, or has more than `max_bytes`.
        """

    async def size(self, reference: str) -> int:
        """Return how many bytes a file has.

        Raises:
            FileNotFoundError: it is not there.
            OSError: the store does not tell.
        """

    async def add_folder(self, reference: str) -> None:
        """Have a folder without files, or count the one that is there as changed now. Raises OSError."""

    async def has_folder(self, reference: str) -> bool:
        """Return whether there is a file below a reference. Raises OSError."""

    def folders(self, reference: str) -> AsyncIterator[FolderEntry]:
        """Yield the folders below a reference, such as `videos`. Raises OSError."""

    async def remove(self, reference: str) -> None:
        """Remove a file, or a folder with all that is in it; one that is missing is no error.

        Raises:
            OSError: something is left.
        """

    async def clear_unfinished(self, older_than: float, keep: Container[str] = ()) -> list[str]:
        """Remove what crashed writers left and was not changed since `older_than`, in seconds since 1970.

        Args:
            older_than: see above.
            keep: references of files that may be unfinished for longer.

        Returns:
            Names for the log.
        """
