"""Consumers of catalog: translate, decide nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from kit.bus import Bus, Subscription
from kit.db.database import Database, Transaction
from kit.db.event_groups import CONCURRENCY, EventGroups, Received
from kit.events.envelope import Event
from kit.media_store import WritableStore
from kit.telemetry import service_context
from marquee.events.v1 import media_pb2
from services.catalog.artwork import ArtworkKind, Storyboard
from services.catalog.domain import MAX_TITLE_CHARS, MediaInfo, PackInfo
from services.catalog.home.consumers import CHANGES
from services.catalog.service import JobReport, MadeArtwork, Processing, Removed
from services.catalog.service.embedded_subtitles import EmbeddedTrack, attach_embedded
from services.catalog.service.subtitles import Subtitles
from services.catalog.watchlist.consumers import ACCOUNTS

__all__ = ["ACCOUNTS", "CHANGES", "MEDIA", "subscribe"]

MEDIA = Subscription("catalog.media", ("media.*",), concurrency=CONCURRENCY)

Effect = Callable[[Transaction, JobReport], Awaitable[Removed]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event says of a video."""

    video_id: str
    apply: Effect


def subscribe(bus: Bus, database: Database, processing: Processing, subtitles: Subtitles, store: WritableStore) -> None:
    """Subscribe catalog's consumers."""

    async def apply(transaction: Transaction, outcomes: Sequence[Received[Outcome]]) -> list[Removed]:
        videos = await processing.lock(transaction, [each.content.video_id for each in outcomes])
        removed: list[Removed] = []
        for each in outcomes:
            with each.trace("catalog"):
                video = videos.get(each.content.video_id)
                report = video and JobReport(video, each.event.time)
                removed.append(await each.content.apply(transaction, report) if report else [])
        return removed

    groups = EventGroups(database, MEDIA, apply, service="catalog")

    async def on_media(event: Event) -> None:
        with service_context("catalog"):
            if event.carries(media_pb2.MediaSubtitlesExtracted):
                extracted = event.read(media_pb2.MediaSubtitlesExtracted)
                await attach_embedded(
                    subtitles, store, extracted.video_id, extracted.reference, _embedded_tracks(extracted)
                )
            pack_bytes = None
            if event.carries(media_pb2.MediaProtectedReady):
                pack_bytes = await processing.pack_bytes(event.read(media_pb2.MediaProtectedReady).reference)
            if outcome := _outcome(processing, event, pack_bytes):
                await processing.remove(await groups.apply(event, outcome) or [])

    bus.subscribe(MEDIA, on_media)


def _outcome(processing: Processing, event: Event, pack_bytes: int | None) -> Outcome | None:
    """Return what an event says; None for events of other types."""
    if event.carries(media_pb2.MediaProbed):
        probed = event.read(media_pb2.MediaProbed)
        return Outcome(probed.video_id, partial(processing.probed, info=_media_info(probed)))
    if event.carries(media_pb2.MediaJobChanged):
        change = event.read(media_pb2.MediaJobChanged)
        moved = partial(
            processing.job_changed, kinds=change.kinds, state=change.state, code=change.code, reason=change.reason
        )
        return Outcome(change.video_id, moved)
    if event.carries(media_pb2.MediaFailed):
        failed = event.read(media_pb2.MediaFailed)
        given_up = partial(processing.failed, code=failed.code, reason=failed.reason, is_permanent=failed.permanent)
        return Outcome(failed.video_id, given_up)
    if event.carries(media_pb2.MediaProtectedReady):
        ready = event.read(media_pb2.MediaProtectedReady)
        pack = PackInfo(ready.asset_id, ready.size_bytes, ready.content_version)
        packed = partial(processing.pack_ready, reference=ready.reference, pack=pack, stored_bytes=pack_bytes)
        return Outcome(ready.video_id, packed)
    if (found := _artwork(event)) is not None:
        video_id, made = found
        return Outcome(video_id, partial(processing.artwork_ready, made=made))
    return None


def _artwork(event: Event) -> tuple[str, MadeArtwork] | None:
    """Return the video and its new artwork; None for events of other types."""
    if event.carries(media_pb2.MediaThumbnailReady):
        ready = event.read(media_pb2.MediaThumbnailReady)
        made = MadeArtwork(ArtworkKind.THUMBNAIL, ready.reference, thumbhash=ready.thumbhash)
        return ready.video_id, made
    if event.carries(media_pb2.MediaPostersReady):
        posters = event.read(media_pb2.MediaPostersReady)
        details = {"widths": list(posters.widths), "width": posters.width, "height": posters.height}
        return posters.video_id, MadeArtwork(ArtworkKind.POSTERS, posters.reference, details)
    if event.carries(media_pb2.MediaStoryboardReady):
        board = event.read(media_pb2.MediaStoryboardReady)
        layout = Storyboard(
            duration_sec=board.duration_sec,
            interval_sec=board.interval_sec,
            tiles=board.tiles,
            tile_width=board.tile_width,
            tile_height=board.tile_height,
            columns=board.columns,
            tiles_a_sheet=board.tiles_a_sheet,
        )
        return board.video_id, MadeArtwork(ArtworkKind.STORYBOARD, board.reference, asdict(layout))
    if event.carries(media_pb2.MediaSubtitlesExtracted):
        extracted = event.read(media_pb2.MediaSubtitlesExtracted)
        tracks = _plain(extracted)["tracks"]
        return extracted.video_id, MadeArtwork(ArtworkKind.SUBTITLES, extracted.reference, {"tracks": tracks})
    return None


def _embedded_tracks(message: media_pb2.MediaSubtitlesExtracted) -> list[EmbeddedTrack]:
    """Return the tracks that hold text; those with pictures have no file."""
    return [
        EmbeddedTrack(each.index, each.language, each.title[:MAX_TITLE_CHARS], each.forced, each.sdh)
        for each in message.tracks
        if each.text
    ]


def _media_info(message: media_pb2.MediaProbed) -> MediaInfo:
    return MediaInfo(
        duration_sec=message.duration_sec,
        mime_type=message.mime_type,
        video_codec=message.video_codec,
        audio_codec=message.audio_codec,
        width=message.width,
        height=message.height,
        bitrate_bps=message.bitrate_bps,
        details=_plain(message.details) if message.HasField("details") else None,
    )


def _plain(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found
