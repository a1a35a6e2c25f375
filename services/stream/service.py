"""Use cases of stream."""

from __future__ import annotations

from collections import OrderedDict

import structlog

from kit.errors import ApiError
from kit.ids import is_id
from kit.media import BadReference, MediaStore
from kit.tokens import Caller
from services.stream.domain import Source
from services.stream.files import CAPACITY, Files
from services.stream.representation import Representation
from services.stream.sources import SourceCache

log = structlog.get_logger()


class Streams:
    """Finds videos for those who may see them, and opens their files."""

    def __init__(self, sources: SourceCache, store: MediaStore, files: Files) -> None:
        self._sources = sources
        self._store = store
        self._files = files
        self._shown: OrderedDict[str, Representation] = OrderedDict()

    def known(self, video_id: str, caller: Caller) -> Representation | None:
        """A video's bytes, when nobody must be asked for them; None says nothing, `find` and `open` do."""
        shown = self._shown.get(video_id)
        if (
            shown is None
            or shown.source is not self._sources.known(video_id)
            or not shown.file.is_fresh()
            or not shown.source.is_visible_to(caller.corporation_id, is_admin=caller.is_admin)
        ):
            return None
        return shown

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

    async def open(self, source: Source) -> Representation:
        """The video's bytes.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE.
        """
        try:
            file = await self._files.open(self._store.path(source.reference))
        except (OSError, BadReference) as error:
            log.error("stream_file_unavailable", content_id=source.video_id, error=str(error))
            raise ApiError("STREAM_FILE_UNAVAILABLE", headers={"Retry-After": "5"}) from error
        shown = self._shown.get(source.video_id)
        if shown is None or shown.source is not source or shown.file is not file:
            shown = self._shown[source.video_id] = Representation(source, file)
        self._shown.move_to_end(source.video_id)
        if len(self._shown) > CAPACITY:
            self._shown.popitem(last=False)
        return shown
