"""Use cases of stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog

from kit.auth.tokens import Caller
from kit.cache import LruCache
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id
from kit.media import InvalidReferenceError
from mp4 import StartBeyondEndError, UnsupportedMediaError, VirtualFile
from services.stream.delivery.representation import Representation
from services.stream.domain import Source
from services.stream.sources import SourceCache
from services.stream.storage.open_files import CAPACITY
from services.stream.storage.port import Store, StoredFile, Tier
from services.stream.storage.virtual_file_cache import Identity, VirtualFiles

log = structlog.get_logger()


class Opened(NamedTuple):
    """A video's representation, opened for a request."""

    representation: Representation
    is_start_applied: bool = False
    """Whether it begins at the requested time; False without one, and where the file can't begin elsewhere."""


class Streams:
    """Find videos for callers who may see them, and open their files.

    Args:
        sources: catalog's descriptions of videos.
        store: opens originals, or copies of them.
        virtual_files: makes files that begin elsewhere.
        can_cut: whether a film may begin anywhere: where it can depends on its pictures, which are available only in an
            original that is mounted here.
    """

    def __init__(
        self, sources: SourceCache, store: Store, virtual_files: VirtualFiles, can_cut: Callable[[Source], bool]
    ) -> None:
        self._sources = sources
        self._store = store
        self._virtual_files = virtual_files
        self._can_cut = can_cut
        self._representations = LruCache[str, Representation](CAPACITY)
        # Apart, so that the fast path of plain films finds no pack, and need not ask.
        self._packs = LruCache[str, Representation](CAPACITY)
        self._index_comes_last = LruCache[Identity, bool](CAPACITY)

    def get_cached(self, video_id: str, start_sec: float | None, caller: Caller) -> Representation | None:
        """Return what `find` and `open` would of a plain film, from memory. None means a cache miss, not a denial."""
        source = self._sources.get_cached(video_id)
        if source is None:
            return None
        representation = self._representations.peek(source.asset_id)
        if (
            representation is None
            or representation.source is not source
            or not representation.file.is_validated()
            or not source.is_visible_to(caller.corporation_id, is_admin=caller.is_admin)
        ):
            return None
        if start_sec is None:
            return representation
        virtual = self._virtual_files.get_cached(representation.file, start_sec)
        return _virtual_representation(representation, virtual) if virtual else None

    def get_cached_pack(self, video_id: str, start_sec: float | None, caller: Caller) -> Representation | None:
        """Return what `find_protected` and `open` would, from memory. None means a cache miss, not a denial.

        Packs begin at no other time, so `start_sec` is None.
        """
        source = self._sources.get_cached(video_id)
        if source is None or start_sec is not None:
            return None
        representation = self._packs.peek(source.asset_id)
        if (
            representation is None
            or representation.source is not source
            or not representation.file.is_validated()
            or not source.is_visible_to(caller.corporation_id, is_admin=caller.is_admin)
        ):
            return None
        return representation

    async def find(self, video_id: str, caller: Caller) -> Source:
        """Return the source of a video.

        Raises:
            ApiError: CONTENT_NOT_FOUND, also when the caller may not see it; CONTENT_NOT_READY; SERVICE_UNAVAILABLE
                when catalog does not answer.
        """
        # A second spelling of an id would be cached under a name that no event ever drops.
        if not is_id(video_id):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        source = await self._sources.get(video_id)
        if not source.is_visible_to(caller.corporation_id, is_admin=caller.is_admin):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return source

    async def find_plain(self, video_id: str, caller: Caller) -> Source:
        """Return the source of a video that is not protected. Raise what `find` does, and CONTENT_PROTECTED."""
        source = await self.find(video_id, caller)
        if source.is_protected:
            raise ApiError(ErrorCode.CONTENT_PROTECTED)
        return source

    async def find_protected(self, video_id: str, caller: Caller) -> Source:
        """Return the pack of a protected video. Raise what `find` does, and CONTENT_NOT_FOUND for any other video."""
        source = await self.find(video_id, caller)
        if not source.is_protected:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return source

    async def open(self, source: Source, start_sec: float | None = None) -> Opened:
        """Open the video's bytes: as they are or, with a time in seconds, as a film from the key frame before it.

        A file that can't begin elsewhere is opened as it is.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE; VALIDATION_FAILED when the film is over by then.
        """
        try:
            file = await self._store.open(source)
            representation = self._represent(source, file)
            return Opened(representation) if start_sec is None else await self._open_from(representation, start_sec)
        except (OSError, InvalidReferenceError) as error:
            log.error("stream_file_unavailable", content_id=source.video_id, error=str(error))
            raise ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE, headers={"Retry-After": "5"}) from error

    async def tier(self, source: Source) -> Tier | None:
        """Return the tier that the video's bytes come from now; None when they can't be opened."""
        try:
            return (await self._store.open(source)).tier
        except (OSError, InvalidReferenceError):
            return None

    def release(self, asset_id: str) -> None:
        """Drop an asset's open file; the next request opens it again."""
        self._representations.pop(asset_id)
        self._packs.pop(asset_id)

    async def is_index_last(self, source: Source) -> bool:
        """Return whether a file's index comes last and can be moved first: a player should then use `start=0`."""
        if source.is_protected:
            return False
        try:
            file = await self._store.open(source)
            comes_last = self._index_comes_last.get(file.identity)
            if comes_last is None:
                comes_last = await self._find_index(file)
        except (OSError, InvalidReferenceError):
            return False
        return comes_last

    async def _find_index(self, file: StoredFile) -> bool:
        try:
            comes_last = not (await file.structure()).is_fast_start
        except UnsupportedMediaError:
            comes_last = False
        return self._index_comes_last.put(file.identity, comes_last)

    def _represent(self, source: Source, file: StoredFile) -> Representation:
        kept = self._packs if source.is_protected else self._representations
        representation = kept.get(source.asset_id)
        if representation is None or representation.source is not source or representation.file is not file:
            representation = kept.put(source.asset_id, Representation(source, file))
        return representation

    async def _open_from(self, representation: Representation, start_sec: float) -> Opened:
        if cached := self._virtual_files.get_cached(representation.file, start_sec):
            return Opened(_virtual_representation(representation, cached), is_start_applied=True)
        if start_sec and not self._can_cut(representation.source):
            return Opened(representation)
        try:
            index = await representation.file.index()
            virtual = await self._virtual_files.get(index, start_sec)
            return Opened(_virtual_representation(representation, virtual), is_start_applied=True)
        except UnsupportedMediaError:
            return Opened(representation)
        except StartBeyondEndError as error:
            problem = f"The film ends at {error.duration_ms / 1000:g} s."
            raise invalid_field("start", problem) from error


def _virtual_representation(representation: Representation, virtual: VirtualFile) -> Representation:
    """Return a virtual file of a representation. It is not cached: `VirtualFiles` bounds the memory of all of them."""
    return Representation(representation.source, representation.file, virtual) if virtual.header else representation
