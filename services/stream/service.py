"""Use cases of stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import structlog

from kit.auth.tokens import Caller
from kit.cache import LruCache
from kit.errors import ApiError
from kit.ids import is_id
from kit.media import BadReference
from mp4 import StartBeyondEndError, UnsupportedMediaError, VirtualFile
from services.stream.delivery.representation import Representation
from services.stream.domain import Source
from services.stream.sources import SourceCache
from services.stream.storage.open_files import CAPACITY
from services.stream.storage.port import Store, StoredFile, Tier
from services.stream.storage.virtual_file_cache import Identity, VirtualFiles

log = structlog.get_logger()


class Opened(NamedTuple):
    """What is sent for a request."""

    shown: Representation
    starts_as_asked: bool = False
    """Whether it begins at the asked time; False without one, and where the file can't begin elsewhere."""


class Streams:
    """Finds videos for those who may see them, and opens their files.

    Args:
        sources: what catalog knows.
        store: opens originals, or copies of them.
        virtual_files: makes files that begin elsewhere.
        can_cut: whether a film may begin anywhere: where that is depends on its pictures, which are at hand only in an
            original that is mounted here.
    """

    def __init__(
        self, sources: SourceCache, store: Store, virtual_files: VirtualFiles, can_cut: Callable[[Source], bool]
    ) -> None:
        self._sources = sources
        self._store = store
        self._virtual_files = virtual_files
        self._can_cut = can_cut
        self._shown = LruCache[str, Representation](CAPACITY)
        self._index_comes_last = LruCache[Identity, bool](CAPACITY)

    def known(self, video_id: str, start_sec: float | None, caller: Caller) -> Representation | None:
        """What `find` and `open` give, when nobody must be asked for it; None says nothing."""
        source = self._sources.get_cached(video_id)
        if source is None:
            return None
        shown = self._shown.peek(source.asset_id)
        if (
            shown is None
            or shown.source is not source
            or not shown.file.is_validated()
            or not source.is_visible_to(caller.corporation_id, is_admin=caller.is_admin)
        ):
            return None
        if start_sec is None:
            return shown
        virtual = self._virtual_files.get_cached(shown.file, start_sec)
        return _from(shown, virtual) if virtual else None

    async def find(self, video_id: str, caller: Caller) -> Source:
        """What is known of a video.

        Raises:
            ApiError: CONTENT_NOT_FOUND, also when the caller may not see it; CONTENT_NOT_READY; SERVICE_UNAVAILABLE
                when catalog does not answer.
        """
        # A second spelling of an id would be cached under a name that no event ever drops.
        if not is_id(video_id):
            raise ApiError("CONTENT_NOT_FOUND")
        source = await self._sources.get(video_id)
        if not source.is_visible_to(caller.corporation_id, is_admin=caller.is_admin):
            raise ApiError("CONTENT_NOT_FOUND")
        return source

    async def open(self, source: Source, start_sec: float | None = None) -> Opened:
        """The video's bytes: as they are or, with a time in seconds, as a film that begins at the key frame before it.

        A file that can't be begun elsewhere is given as it is.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE; VALIDATION_FAILED when the film is over by then.
        """
        try:
            file = await self._store.open(source)
            shown = self._show(source, file)
            return Opened(shown) if start_sec is None else await self._begun(shown, start_sec)
        except (OSError, BadReference) as error:
            log.error("stream_file_unavailable", content_id=source.video_id, error=str(error))
            raise ApiError("STREAM_FILE_UNAVAILABLE", headers={"Retry-After": "5"}) from error

    async def tier(self, source: Source) -> Tier | None:
        """Where the video's bytes come from now; None when they can't be had."""
        try:
            return (await self._store.open(source)).tier
        except (OSError, BadReference):
            return None

    def release(self, asset_id: str) -> None:
        """Holds on to an asset's file no longer; the next request opens it again."""
        self._shown.pop(asset_id)

    async def plays_sooner_rearranged(self, source: Source) -> bool:
        """Whether a player should ask for it with `start=0`: its index comes last, and can be moved first."""
        try:
            file = await self._store.open(source)
            comes_last = self._index_comes_last.get(file.identity)
            if comes_last is None:
                comes_last = await self._look_at(file)
        except (OSError, BadReference):
            return False
        return comes_last

    async def _look_at(self, file: StoredFile) -> bool:
        try:
            comes_last = not (await file.structure()).is_fast_start
        except UnsupportedMediaError:
            comes_last = False
        return self._index_comes_last.put(file.identity, comes_last)

    def _show(self, source: Source, file: StoredFile) -> Representation:
        shown = self._shown.get(source.asset_id)
        if shown is None or shown.source is not source or shown.file is not file:
            shown = self._shown.put(source.asset_id, Representation(source, file))
        return shown

    async def _begun(self, shown: Representation, start_sec: float) -> Opened:
        if found := self._virtual_files.get_cached(shown.file, start_sec):
            return Opened(_from(shown, found), starts_as_asked=True)
        if start_sec and not self._can_cut(shown.source):
            return Opened(shown)
        try:
            index = await shown.file.index()
            begun = await self._virtual_files.get(index, start_sec)
            return Opened(_from(shown, begun), starts_as_asked=True)
        except UnsupportedMediaError:
            return Opened(shown)
        except StartBeyondEndError as error:
            problem = f"The film ends at {error.duration_ms / 1000:g} s."
            raise ApiError("VALIDATION_FAILED", details={"fields": [{"field": "start", "problem": problem}]}) from error


def _from(shown: Representation, virtual: VirtualFile) -> Representation:
    """A virtual file of what is shown. It is not kept here: `VirtualFiles` bounds the memory that all of them take."""
    return Representation(shown.source, shown.file, virtual) if virtual.header else shown
