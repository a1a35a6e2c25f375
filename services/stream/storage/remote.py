"""Originals on other machines: bytes are relayed on demand, to each viewer at the viewer's own pace."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from hashlib import blake2b
from typing import Final, Literal

from kit.aio.single_flight import SingleFlight
from kit.cache import LruCache
from kit.origins import Object, OriginError, RemoteFile, Url
from mp4 import Structure, UnsupportedMediaError
from services.stream.domain import Source
from services.stream.storage.open_files import CAPACITY
from services.stream.storage.remote_index import RemoteIndex, fetch_boxes, fetch_outline
from services.stream.storage.virtual_file_cache import Identity

FAILED_SEC: Final = 3.0
"""How long an original that could not be opened is not tried again: requests meanwhile fail at once."""
_NANOSECONDS: Final = 1_000_000_000
_NO_DEVICE: Final = -1

Fetch = Callable[[Url | Object], Awaitable[RemoteFile]]
Locate = Callable[[Source], Url | Object]
Presign = Callable[[Url | Object, str, str | None], str | None]


class RemoteOriginal:
    """A `storage.port.StoredFile` on another machine.

    Args:
        reference: its address.
        file: its state, and how to read it.
        presign: makes a URL for viewers from a reference, a media type and a `Content-Disposition`; it returns None
            where the bytes go through this service.
    """

    tier: Final = "remote"

    def __init__(self, reference: Url | Object, file: RemoteFile, presign: Presign) -> None:
        self._reference = reference
        self._file = file
        self._presign = presign
        self._structure: Structure | UnsupportedMediaError | None = None
        self._fetches = SingleFlight[Literal["outline", "index"], RemoteIndex]()
        info = file.info
        self.size = info.size
        self.mtime_ns = None if info.modified is None else info.modified * _NANOSECONDS
        self.state = info.state
        name = blake2b(f"{reference}\n{info.state}".encode(), digest_size=8).digest()
        self.identity: Identity = _NO_DEVICE, int.from_bytes(name, "big"), self.size, self.mtime_ns or 0

    def is_validated(self) -> bool:
        """Return whether it was seen in this state a short time ago."""
        return self._file.is_validated()

    def location(self, content_type: str, saved_as: str | None = None) -> str | None:
        """See `storage.port.StoredFile`."""
        return self._presign(self._reference, content_type, saved_as)

    def mark_validated(self) -> None:
        """Record that it was seen in this state."""
        self._file.mark_validated()

    def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Yield exactly these bytes, each block read when it is asked for. Raises OriginError."""
        return self._file.blocks(offset, count)

    async def structure(self) -> Structure:
        """Return where its boxes lie; fetched once.

        Raises:
            UnsupportedMediaError: it is no ISO base media file.
            OSError: it can't be read.
        """
        if self._structure is None:
            await self._fetches.run("outline", self._fetch_outline)
        if isinstance(self._structure, UnsupportedMediaError):
            raise UnsupportedMediaError(str(self._structure))
        assert self._structure is not None  # noqa: S101 - set by `_fetch_outline`
        return self._structure

    async def index(self) -> RemoteIndex:
        """Fetch the boxes that describe it. Concurrent calls share a fetch; the result takes memory and is not kept.

        Raises:
            UnsupportedMediaError: it is not that kind of file.
            OSError: it can't be read.
        """
        if isinstance(self._structure, UnsupportedMediaError):
            raise UnsupportedMediaError(str(self._structure))
        return await self._fetches.run("index", self._fetch_index)

    async def _fetch_outline(self) -> RemoteIndex:
        index = RemoteIndex(self.size, self.identity)
        try:
            self._structure = await fetch_outline(index, self.blocks)
        except UnsupportedMediaError as error:
            self._structure = error
            raise
        return index

    async def _fetch_index(self) -> RemoteIndex:
        index = await self._fetch_outline()
        await fetch_boxes(index, self.blocks, await self.structure())
        return index


def _never(_reference: Url | Object, _content_type: str, _saved_as: str | None) -> None:
    """Have all bytes go through this service."""


class RemoteStore:
    """Originals behind HTTP(S) addresses, and objects in S3.

    Args:
        fetch: looks up an original's state.
        locate: returns the address of a source's original; it may raise InvalidReferenceError.
        presign: see `RemoteOriginal`.
        capacity: how many originals are remembered; the least recently used one goes first.
    """

    def __init__(self, fetch: Fetch, locate: Locate, presign: Presign = _never, capacity: int = CAPACITY) -> None:
        self._fetch = fetch
        self._locate = locate
        self._presign = presign
        self._kept = LruCache[Url | Object, RemoteOriginal](capacity)
        self._failed = LruCache[Url | Object, tuple[OriginError, float]](capacity)
        self._opening = SingleFlight[Url | Object, RemoteOriginal]()

    async def open(self, source: Source) -> RemoteOriginal:
        """Look up the original, or return what was found a short time ago.

        Raises:
            OriginError: it can't be read.
            InvalidReferenceError: it is no reference to another machine.
        """
        reference = self._locate(source)
        file = self._kept.get(reference)
        if file is not None and file.is_validated():
            return file
        if (failure := self._failed.get(reference)) and time.monotonic() < failure[1]:
            raise type(failure[0])(str(failure[0])) from failure[0]
        return await self._opening.run(reference, lambda: self._open(reference))

    async def _open(self, reference: Url | Object) -> RemoteOriginal:
        try:
            found = await self._fetch(reference)
        except OriginError as error:
            self._failed.put(reference, (error, time.monotonic() + FAILED_SEC))
            self._kept.pop(reference)
            raise
        self._failed.pop(reference)
        file = self._kept.get(reference)
        if file is not None and file.state == found.info.state:
            file.mark_validated()
            return file
        return self._kept.put(reference, RemoteOriginal(reference, found, self._presign))

    async def ping(self) -> None:
        """Do nothing: this service is of use also while other machines are away."""

    def close(self) -> None:
        """Drop everything."""
        self._kept.clear()
