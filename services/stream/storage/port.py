"""The port that all stores of media files implement.

The hot cache (tier 2) is behind the same port: it wraps a store, and opens copies with the same `state`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from mp4 import Structure
from services.stream.domain import Source
from services.stream.storage.virtual_file_cache import File, Identity

Tier = Literal["ssd", "nas", "remote"]
"""Where the bytes come from: a copy on this machine's disk, the mounted store, another machine's HTTP or S3."""


class StoredFile(Protocol):
    """One state of an asset's bytes, shared by all responses that send it. It needs no closing: drop it.

    It stands for that state only: when the original changes, reading fails rather than return bytes of another state.
    """

    @property
    def tier(self) -> Tier:
        """The tier that its bytes come from."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    @property
    def mtime_ns(self) -> int | None:
        """When the original last changed, in nanoseconds since 1970; None when its store does not tell."""

    @property
    def state(self) -> str:
        """A strong name of the state of the bytes, in characters that entity tags allow: the same on every replica."""

    @property
    def identity(self) -> Identity:
        """Which state of which file it is, within this process."""

    def location(self, content_type: str, saved_as: str | None = None) -> str | None:
        """Return a URL from which a viewer may fetch the bytes for a while; None when they go through this service.

        Args:
            content_type: the media type that they are to have there.
            saved_as: the `Content-Disposition` that they are to have there.
        """

    def is_validated(self) -> bool:
        """Return whether this is still what the reference leads to, as far as that is known without waiting."""

    def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Yield exactly these bytes, in blocks of 256 KiB at most, each read when it is asked for.

        Close the generator (`aclose`) when it is not read to its end.

        Raises:
            OSError: the store failed, the original is shorter, or it has changed.
        """

    async def structure(self) -> Structure:
        """Return where the boxes of a film lie.

        Raises:
            UnsupportedMediaError: it is no ISO base media file.
            OSError: the store failed.
        """

    async def index(self) -> File:
        """Return a file on this machine to build the virtual file from that begins where the film does.

        It has the original's size and, where the original has them, at least the boxes that describe the film.

        Raises:
            UnsupportedMediaError: this store has none.
            OSError: the store failed.
        """


class Store(Protocol):
    """Opens media files."""

    async def open(self, source: Source) -> StoredFile:
        """Open a file, or find that it is still what was opened before. Concurrent calls share one look-up.

        Raises:
            OSError: it is not there, or not readable.
            InvalidReferenceError: a ValueError; no service writes such a reference.
        """

    async def ping(self) -> None:
        """Raise OSError when the platform's own store can't be read."""

    def close(self) -> None:
        """Close everything; responses under way end early."""
