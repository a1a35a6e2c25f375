"""Where the originals of videos lie (tier 4): one port, and an adapter for each kind of place.

A copy nearer by (tier 2) is behind the same port: it wraps a store, and gives files with the same `state`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from mp4 import Structure
from services.stream.domain import Source
from services.stream.storage.virtual_file_cache import File, Identity

Tier = Literal["ssd", "nas", "remote"]
"""How far the bytes come: a copy on this machine's disk, the mounted store, another machine's HTTP or S3."""


class StoredFile(Protocol):
    """One state of a video's bytes, shared by all who send it. It needs no closing: drop it.

    It stands for that state only: when the original changes, reading fails rather than give bytes of another one.
    """

    @property
    def tier(self) -> Tier:
        """Where its bytes come from."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    @property
    def mtime_ns(self) -> int | None:
        """When the original was changed last, in nanoseconds since 1970; None when its store does not tell."""

    @property
    def state(self) -> str:
        """Names the state of the bytes, strongly, in a few characters of an entity tag: the same on every replica."""

    @property
    def identity(self) -> Identity:
        """Which state of which file it is, to this process."""

    def location(self, content_type: str, saved_as: str | None = None) -> str | None:
        """An address from which a viewer may fetch the bytes himself for a while; None when they go through here.

        Args:
            content_type: the media type that they are to have there.
            saved_as: the `Content-Disposition` that they are to have there.
        """

    def is_fresh(self) -> bool:
        """Whether this is still what the reference leads to, as far as that is known without waiting."""

    def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Exactly these bytes, in blocks of 256 KiB at most, each read when it is asked for.

        Close it (`aclose`) when it is not read to its end.

        Raises:
            OSError: the store failed, the original is shorter, or it has changed.
        """

    async def structure(self) -> Structure:
        """Where the boxes of a film lie.

        Raises:
            UnsupportedMediaError: it is no ISO base media file.
            OSError: the store failed.
        """

    async def index(self) -> File:
        """A file on this machine to build the virtual one from that begins where the film does.

        It has the original's size and, where the original has them, at least the boxes that describe the film.

        Raises:
            UnsupportedMediaError: this store can't give one.
            OSError: the store failed.
        """


class Store(Protocol):
    """Opens the originals of videos."""

    async def open(self, source: Source) -> StoredFile:
        """Opens the original, or finds that it still is what was opened before. However many ask, it is asked once.

        Raises:
            OSError: it is not there, or not readable.
            InvalidReferenceError: no service makes such a reference; it is a ValueError.
        """

    async def ping(self) -> None:
        """Raises OSError when the platform's own store can't be read."""

    def close(self) -> None:
        """Lets everything go; what is being sent then ends early."""
