"""Use case of thumbnailer: inspect a file, make its thumbnail, publish the results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog
from google.protobuf.message import Message

from kit.bus import Bus, BusUnavailableError
from kit.events.envelope import Event
from kit.events.registry import EVENTS, type_of
from kit.ids import derived_id
from kit.media import MediaStore
from kit.origins import Stored, parse
from marquee.events.v1 import media_pb2
from services.thumbnailer.domain import FailureAction, MediaFailure, MediaInfo, action_for
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.inspection import Limits, process
from services.thumbnailer.media.originals import Originals

log = structlog.get_logger()

SOURCE = "thumbnailer"


class MediaProcessor:
    """Make media information and a thumbnail of videos, one per call.

    There is no database: event ids are derived from the job's id. If a job runs twice, because a process died between
    publishing and acknowledging, its events are published twice with the same ids, and consumed once.
    """

    def __init__(self, store: MediaStore, originals: Originals, bus: Bus, limits: Limits) -> None:
        self._store = store
        self._originals = originals
        self._bus = bus
        self._limits = limits

    async def process(self, job: Event, video_id: str, reference: str) -> None:
        """Make information and a thumbnail of a video, and publish them before returning.

        Raises:
            StoreUnavailableError: the file could not be inspected now.
            BusUnavailableError: the results could not be published.
        """
        thumbnail = f"videos/{video_id}/thumbnail.jpg"
        folder = self._store.path(thumbnail).parent
        if not await asyncio.to_thread(self._store.is_present):
            raise StoreUnavailableError(str(self._store.root))
        if not isinstance(parse(reference), Stored):
            # The folder of an upload exists before its job: if it is missing, the video is gone.
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            info = await self._inspect(reference, self._store.path(thumbnail))
        except MediaError as error:
            gone = not await asyncio.to_thread(folder.exists)
            await self._report_failure(job, video_id, error.failure, gone=gone)
            return
        await self._publish(job, video_id, [_probed(video_id, reference, info), _thumbnail_ready(video_id, thumbnail)])
        log.info("media_processed", content_id=video_id, duration_sec=info.duration_sec, isolated=info.isolated)

    async def _inspect(self, reference: str, thumbnail: Path) -> MediaInfo:
        async with self._originals.provide(reference) as original:
            try:
                return await process(original.path, thumbnail, self._limits, original.opener)
            except MediaError:
                if original.is_whole:
                    raise
            await self._originals.complete(original)
            return await process(original.path, thumbnail, self._limits, original.opener)

    async def _report_failure(self, job: Event, video_id: str, failure: MediaFailure, *, gone: bool) -> None:
        log.warning("media_failed", content_id=video_id, failure_code=failure.code)
        match action_for(failure, gone=gone):
            case FailureAction.REPORT:
                await self._publish(job, video_id, [_failed(video_id, failure)])
            case FailureAction.RETRY:
                raise StoreUnavailableError(failure.reason)
            case FailureAction.FORGET:
                # The job ran to its end before: the video failed for good and its file was removed.
                log.info("media_gone", content_id=video_id)

    async def _publish(self, job: Event, video_id: str, messages: Sequence[Message]) -> None:
        events = [
            Event.of(message, source=SOURCE, subject=video_id, id=derived_id(job.id, type_of(type(message)))).caused_by(
                job
            )
            for message in messages
        ]
        accepted = await self._bus.publish(events, required=EVENTS.required())
        if len(accepted) < len(events):
            raise BusUnavailableError("no consumer of the results has subscribed yet")


def _probed(video_id: str, reference: str, info: MediaInfo) -> Message:
    return media_pb2.MediaProbed(
        video_id=video_id,
        reference=reference,
        duration_sec=info.duration_sec,
        mime_type=info.mime_type,
        video_codec=info.video_codec,
        audio_codec=info.audio_codec or "",
        width=info.width,
        height=info.height,
        bitrate_bps=info.bitrate_bps,
    )


def _thumbnail_ready(video_id: str, reference: str) -> Message:
    return media_pb2.MediaThumbnailReady(video_id=video_id, reference=reference)


def _failed(video_id: str, failure: MediaFailure) -> Message:
    return media_pb2.MediaFailed(
        video_id=video_id, code=failure.code, reason=failure.reason, permanent=failure.permanent
    )
