"""Originals on other machines: bytes are relayed as they are asked for, to each viewer at his own pace."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

from kit.origins import Object, OriginError, RemoteFile, Url
from services.stream.domain import Source
from services.stream.files import CAPACITY
from services.stream.mp4 import Structure, Unsupported
from services.stream.stores.index import RemoteIndex, fetch_boxes, fetch_outline
from services.stream.virtual import Identity

FAILED_SEC: Final = 3.0
"""For so long an original that could not be opened is not asked for again: whoever comes meanwhile is told at once."""
_NANOSECONDS: Final = 1_000_000_000
_NO_DEVICE: Final = -1

K = TypeVar("K")
V = TypeVar("V")
Fetch = Callable[[Url | Object], Awaitable[RemoteFile]]
Locate = Callable[[Source], Url | Object]
Presign = Callable[[Url | Object, str, str | None], str | None]


class RemoteOriginal:
    """A `stores.StoredFile` on another machine.

    Args:
        reference: what leads to it.
        file: its state, and how to read it.
        presign: gives viewers an address of their own for a reference, a media type and a `Content-Disposition`,
            if they are to have one.
    """

    tier: Final = "remote"

    def __init__(self, reference: Url | Object, file: RemoteFile, presign: Presign) -> None:
        self._reference = reference
        self._file = file
        self._presign = presign
        self._structure: Structure | Unsupported | None = None
        self._outlined = _Shared(self._fetch_outline)
        self._indexed = _Shared(self._fetch_index)
        facts = file.facts
        self.size = facts.size
        self.mtime_ns = None if facts.modified is None else facts.modified * _NANOSECONDS
        self.state = facts.state
        name = blake2b(f"{reference}\n{facts.state}".encode(), digest_size=8).digest()
        self.identity: Identity = _NO_DEVICE, int.from_bytes(name, "big"), self.size, self.mtime_ns or 0

    def is_fresh(self) -> bool:
        """Whether it was seen in this state a short time ago."""
        return self._file.is_fresh()

    def location(self, content_type: str, saved_as: str | None = None) -> str | None:
        """An address from which a viewer may fetch the bytes himself for a while; None when they go through here."""
        return self._presign(self._reference, content_type, saved_as)

    def confirm(self) -> None:
        """Notes that it was seen in this state."""
        self._file.confirm()

    def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Exactly these bytes, each block read when it is asked for. Raises OriginError."""
        return self._file.blocks(offset, count)

    async def structure(self) -> Structure:
        """Where its boxes lie: looked up once.

        Raises:
            Unsupported: it is no ISO base media file.
            OSError: it can't be read.
        """
        if self._structure is None:
            await self._outlined()
        if isinstance(self._structure, Unsupported):
            raise Unsupported(str(self._structure))
        assert self._structure is not None  # noqa: S101 - told by `_fetch_outline`
        return self._structure

    async def index(self) -> RemoteIndex:
        """The boxes that describe it, fetched once for all who ask at a time, and not kept: they take memory.

        Raises:
            Unsupported: it is not that kind of file.
            OSError: it can't be read.
        """
        if isinstance(self._structure, Unsupported):
            raise Unsupported(str(self._structure))
        return await self._indexed()

    async def _fetch_outline(self) -> RemoteIndex:
        index = RemoteIndex(self.size, self.identity)
        try:
            self._structure = await fetch_outline(index, self.blocks)
        except Unsupported as error:
            self._structure = error
            raise
        return index

    async def _fetch_index(self) -> RemoteIndex:
        index = await self._fetch_outline()
        await fetch_boxes(index, self.blocks, await self.structure())
        return index


class _Shared(Generic[V]):
    """Work that is done once for all who ask for it at a time, and to its end even when they leave.

    Args:
        work: what is done.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, V]]) -> None:
        self._work = work
        self._task: asyncio.Task[V] | None = None

    async def __call__(self) -> V:
        """What comes of it; raises what it raises."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())
            self._task.add_done_callback(self._done)
        return await asyncio.shield(self._task)

    def _done(self, task: asyncio.Task[V]) -> None:
        self._task = None
        # A failure that nobody waits for any more is no news.
        if not task.cancelled():
            task.exception()


def _never(_reference: Url | Object, _content_type: str, _saved_as: str | None) -> None:
    """Everything goes through this service."""


class RemoteStore:
    """Originals behind HTTP(S) addresses, and objects in S3.

    Args:
        fetch: finds an original's state.
        locate: what a source's reference leads to; it may raise BadReference.
        presign: gives viewers an address of their own for a reference and a media type, if they are to have one.
        capacity: originals remembered; the one not used for longest goes first.
    """

    def __init__(self, fetch: Fetch, locate: Locate, presign: Presign = _never, capacity: int = CAPACITY) -> None:
        self._fetch = fetch
        self._locate = locate
        self._presign = presign
        self._capacity = capacity
        self._kept: OrderedDict[Url | Object, RemoteOriginal] = OrderedDict()
        self._failed: OrderedDict[Url | Object, tuple[OriginError, float]] = OrderedDict()
        self._opening: dict[Url | Object, asyncio.Task[RemoteOriginal]] = {}

    async def open(self, source: Source) -> RemoteOriginal:
        """Finds the original, or knows that it still is what was found before.

        Raises:
            OriginError: it can't be read.
            BadReference: it is no reference to another machine.
        """
        reference = self._locate(source)
        file = self._kept.get(reference)
        if file is not None and file.is_fresh():
            self._kept.move_to_end(reference)
            return file
        if (failure := self._failed.get(reference)) and time.monotonic() < failure[1]:
            raise type(failure[0])(str(failure[0])) from failure[0]
        task = self._opening.get(reference)
        if task is None:
            task = self._opening[reference] = asyncio.ensure_future(self._open(reference))
            task.add_done_callback(lambda done: self._opened(reference, done))
        # Whoever asked first may hang up; the others still get their answer.
        return await asyncio.shield(task)

    async def _open(self, reference: Url | Object) -> RemoteOriginal:
        try:
            found = await self._fetch(reference)
        except OriginError as error:
            self._failed[reference] = error, time.monotonic() + FAILED_SEC
            _bound(self._failed, self._capacity)
            self._kept.pop(reference, None)
            raise
        self._failed.pop(reference, None)
        file = self._kept.get(reference)
        if file is not None and file.state == found.facts.state:
            file.confirm()
        else:
            file = self._kept[reference] = RemoteOriginal(reference, found, self._presign)
        self._kept.move_to_end(reference)
        _bound(self._kept, self._capacity)
        return file

    def _opened(self, reference: Url | Object, task: asyncio.Task[RemoteOriginal]) -> None:
        del self._opening[reference]
        # A failure that nobody waits for any more is no news.
        if not task.cancelled():
            task.exception()

    async def ping(self) -> None:
        """Says nothing: other machines may be away without this service being of no use."""

    def close(self) -> None:
        """Forgets everything."""
        self._kept.clear()


def _bound(kept: OrderedDict[K, V], capacity: int) -> None:
    if len(kept) > capacity:
        kept.popitem(last=False)
