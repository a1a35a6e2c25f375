"""Use case of thumbnailer: look into a file, make its artwork, tell what came of it."""

from __future__ import annotations

import asyncio

import structlog
from google.protobuf.message import Message
from kit.bus import Bus, BusUnavailable
from kit.events import Event
from kit.ids import derived_id
from kit.media import MediaStore
from marquee.events.v1 import media_pb2

from services.thumbnailer.domain import FILE_MISSING, MediaFacts, MediaFailure
from services.thumbnailer.media import Limits, MediaError, process

log = structlog.get_logger()

PROBED = "media.probed"
THUMBNAIL_READY = "media.thumbnail_ready"
FAILED = "media.failed"


class StoreAway(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The media store is not mounted: the job is worth another try."""


class Artist:
    """Works on one video at a time per call.

    It has no database: what it tells carries ids derived from the job's own id, so a job that runs twice, because a
    process died between telling and acknowledging, says the same thing twice and is heard once.
    """

    def __init__(self, store: MediaStore, bus: Bus, limits: Limits) -> None:
        self._store = store
        self._bus = bus
        self._limits = limits

    async def process(self, job: Event, video_id: str, reference: str) -> None:
        """Makes facts and a thumbnail of a video and publishes them before it returns.

        Raises:
            StoreAway: nothing could be looked at.
            BusUnavailable: nobody could be told.
        """
        thumbnail = f"videos/{video_id}/thumbnail.jpg"
        if not await asyncio.to_thread(self._store.is_present):
            raise StoreAway(str(self._store.root))
        try:
            made = await process(self._store.path(reference), self._store.path(thumbnail), self._limits)
        except MediaError as error:
            await self._tell(job, video_id, [_failed(video_id, error.failure)])
            log.warning("media_failed", content_id=video_id, failure_code=error.failure.code)
            return
        await self._tell(job, video_id, _made(video_id, reference, thumbnail, made))
        log.info("media_processed", content_id=video_id, duration_sec=made.duration_sec)

    async def _tell(self, job: Event, video_id: str, facts: list[tuple[str, Message]]) -> None:
        events = [
            Event.of(type_, message, source="thumbnailer", subject=video_id, id=derived_id(job.id, type_)).caused_by(job)
            for type_, message in facts
        ]
        taken = await self._bus.publish(events, required=(PROBED, THUMBNAIL_READY, FAILED))
        if len(taken) < len(events):
            raise BusUnavailable("nobody is there yet to hear what came of the job")
