"""Consumers of catalog: translate, decide nothing."""

from __future__ import annotations

from kit.bus import Bus, Subscription
from kit.db.database import Database
from kit.events.envelope import Event
from kit.telemetry import service_context
from marquee.events.v1 import media_pb2
from services.catalog.domain import MediaInfo
from services.catalog.home.consumers import CHANGES
from services.catalog.service import Processing
from services.catalog.watchlist.consumers import ACCOUNTS

__all__ = ["ACCOUNTS", "CHANGES", "MEDIA", "subscribe"]

MEDIA = Subscription("catalog.media", ("media.*",), concurrency=4)


def subscribe(bus: Bus, database: Database, processing: Processing) -> None:
    """Subscribe catalog's consumers."""

    async def on_media(event: Event) -> None:
        discarded: str | None = None
        with service_context("catalog"):
            async with database.write() as transaction:
                if not await transaction.first_delivery(MEDIA.name, event):
                    return
                if event.carries(media_pb2.MediaProbed):
                    probed = event.read(media_pb2.MediaProbed)
                    await processing.probed(transaction, probed.video_id, _media_info(probed))
                elif event.carries(media_pb2.MediaThumbnailReady):
                    ready = event.read(media_pb2.MediaThumbnailReady)
                    await processing.thumbnail_ready(transaction, ready.video_id, ready.reference)
                elif event.carries(media_pb2.MediaFailed):
                    failed = event.read(media_pb2.MediaFailed)
                    if await processing.failed(
                        transaction, failed.video_id, failed.code, failed.reason, failed.permanent
                    ):
                        discarded = failed.video_id
            if discarded:
                await processing.discard(discarded)

    bus.subscribe(MEDIA, on_media)


def _media_info(message: media_pb2.MediaProbed) -> MediaInfo:
    return MediaInfo(
        duration_sec=message.duration_sec,
        mime_type=message.mime_type,
        video_codec=message.video_codec,
        audio_codec=message.audio_codec,
        width=message.width,
        height=message.height,
        bitrate_bps=message.bitrate_bps,
    )
