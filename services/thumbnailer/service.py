"""Use case of thumbnailer: look into a file, make its artwork, tell what came of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from google.protobuf.message import Message

from kit.bus import Bus, BusUnavailableError
from kit.events.envelope import Event
from kit.ids import derived_id
from kit.media import MediaStore
from kit.origins import Stored, parse
from marquee.events.v1 import media_pb2
from services.thumbnailer.domain import MediaFacts, MediaFailure, Verdict, verdict_on
from services.thumbnailer.media import Limits, MediaError, process
from services.thumbnailer.originals import Originals, StoreAway

log = structlog.get_logger()

PROBED = "media.probed"
THUMBNAIL_READY = "media.thumbnail_ready"
FAILED = "media.failed"


class Artist:
    """Turns one video at a time per call into facts and artwork.

    It has no database: what it tells carries ids derived from the job's own id, so a job that runs twice, because a
    process died between telling and acknowledging, says the same thing twice and is heard once.
    """

    def __init__(self, store: MediaStore, originals: Originals, bus: Bus, limits: Limits) -> None:
        self._store = store
        self._originals = originals
        self._bus = bus
        self._limits = limits

    async def process(self, job: Event, video_id: str, reference: str) -> None:
        """Makes facts and a thumbnail of a video and publishes them before it returns.

        Raises:
            StoreAway: nothing could be looked at.
            BusUnavailableError: nobody could be told.
        """
        thumbnail = f"videos/{video_id}/thumbnail.jpg"
        folder = self._store.path(thumbnail).parent
        if not await asyncio.to_thread(self._store.is_present):
            raise StoreAway(str(self._store.root))
        if not isinstance(parse(reference), Stored):
            # An upload brings its folder with it: one that is missing says that the video is gone.
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            facts = await self._look(reference, self._store.path(thumbnail))
        except MediaError as error:
            gone = not await asyncio.to_thread(folder.exists)
            await self._report_failure(job, video_id, error.failure, gone=gone)
            return
        await self._tell(job, video_id, [_probed(video_id, reference, facts), _thumbnail_ready(video_id, thumbnail)])
        log.info("media_processed", content_id=video_id, duration_sec=facts.duration_sec, isolated=facts.isolated)

    async def _look(self, reference: str, thumbnail: Path) -> MediaFacts:
        async with self._originals.at_hand(reference) as original:
            try:
                return await process(original.path, thumbnail, self._limits, original.opener)
            except MediaError:
                if original.is_whole:
                    raise
            await self._originals.complete(original)
            return await process(original.path, thumbnail, self._limits, original.opener)

    async def _report_failure(self, job: Event, video_id: str, failure: MediaFailure, *, gone: bool) -> None:
        log.warning("media_failed", content_id=video_id, failure_code=failure.code)
        match verdict_on(failure, gone=gone):
            case Verdict.TELL:
                await self._tell(job, video_id, [_failed(video_id, failure)])
            case Verdict.RETRY:
                raise StoreAway(failure.reason)
            case Verdict.FORGET:
                # The job ran before, to its end: the video failed for good and its file was removed.
                log.info("media_gone", content_id=video_id)

    async def _tell(self, job: Event, video_id: str, facts: list[tuple[str, Message]]) -> None:
        events = [
            Event.of(type_, message, source="thumbnailer", subject=video_id, id=derived_id(job.id, type_)).caused_by(
                job
            )
            for type_, message in facts
        ]
        taken = await self._bus.publish(events, required=(PROBED, THUMBNAIL_READY, FAILED))
        if len(taken) < len(events):
            raise BusUnavailableError("nobody is there yet to hear what came of the job")


def _probed(video_id: str, reference: str, facts: MediaFacts) -> tuple[str, Message]:
    return PROBED, media_pb2.MediaProbed(
        video_id=video_id,
        reference=reference,
        duration_sec=facts.duration_sec,
        mime_type=facts.mime_type,
        video_codec=facts.video_codec,
        audio_codec=facts.audio_codec or "",
        width=facts.width,
        height=facts.height,
        bitrate_bps=facts.bitrate_bps,
    )


def _thumbnail_ready(video_id: str, reference: str) -> tuple[str, Message]:
    return THUMBNAIL_READY, media_pb2.MediaThumbnailReady(video_id=video_id, reference=reference)


def _failed(video_id: str, failure: MediaFailure) -> tuple[str, Message]:
    return FAILED, media_pb2.MediaFailed(
        video_id=video_id, code=failure.code, reason=failure.reason, permanent=failure.permanent
    )
