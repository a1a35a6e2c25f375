"""What a scan changes about one film, in the transaction of its step."""

from __future__ import annotations

from datetime import UTC, datetime

from kit.db.database import Transaction
from kit.ids import new_id
from kit.origins import Imported
from marquee.events.v1 import video_pb2
from services.catalog.domain import SOURCE_MISSING, AssetKind, ImportState, ProcessingKind
from services.catalog.models import Asset, ImportFile, Video
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.events import process_requested_event, touch, video_event
from services.catalog.service.protection import pack_requested_event, processing_event


async def hide(transaction: Transaction, file: ImportFile, video: Video | None, *, prune: bool) -> None:
    """Hide the video of a file that is missing: it is not ready any more. With `prune` it goes into the trash."""
    file.state = ImportState.PRUNED if prune else ImportState.MISSING
    if video is None or video.pack is not None:
        # What is served of a protected film lies in the store.
        return
    if video.status != "failed":
        video.status, video.failure_code = "failed", SOURCE_MISSING
        video.failure_reason = "The file is missing from the folder of imported films."
        touch(video)
        failed = video_pb2.VideoFailed(video_id=video.id, code=SOURCE_MISSING, reason=video.failure_reason)
        await transaction.record(video_event(failed, video))
    if prune and video.deleted_at is None:
        video.deleted_at = datetime.now(UTC)
        touch(video)
        await transaction.record(video_event(video_pb2.VideoDeleted(video_id=video.id), video))


async def show(transaction: Transaction, file: ImportFile, video: Video | None) -> None:
    """Show the video of a file that is back, as it was before."""
    was_pruned = file.state == ImportState.PRUNED
    file.state = ImportState.PRESENT
    if video is None:
        return
    if was_pruned and video.deleted_at is not None:
        video.deleted_at = None
        touch(video)
        await transaction.record(video_event(video_pb2.VideoRestored(video_id=video.id), video))
    if video.failure_code != SOURCE_MISSING:
        return
    video.failure_code = video.failure_reason = None
    touch(video)
    if video.duration_sec is not None and not video.protection:
        video.status = "ready"
        ready = video_pb2.VideoReady(video_id=video.id, title=video.title, duration_sec=video.duration_sec)
        await transaction.record(video_event(ready, video))
    else:
        video.status = "processing"
        if video.source is not None:
            await transaction.record(processing_event(video, video.source))


async def replace(transaction: Transaction, file: ImportFile, video: Video | None) -> None:
    """Have a file that has other bytes now processed like a new one; it is hidden until then."""
    await show(transaction, file, video)
    if video is not None:
        await process_anew(transaction, video, str(Imported(file.path)), file.size_bytes)


async def process_anew(transaction: Transaction, video: Video, reference: str, size_bytes: int) -> None:
    """Have the other bytes of a video's source processed; it is hidden until then.

    Its asset gets another id: tickets and hot copies of the former bytes must not serve these.
    """
    source = video.source
    if source is None:
        source = Asset(kind=AssetKind.SOURCE, reference=reference, version=0, created_at=datetime.now(UTC))
        video.assets.append(source)
    source.id, source.size_bytes = new_id(), size_bytes
    source.version += 1
    source.video_codec = source.audio_codec = source.width = source.height = source.bitrate_bps = None
    wants_pack = video.protection or video.pack_asset_id
    packs = [asset for asset in video.assets if asset.kind == AssetKind.LSV]
    await VideoRepository(transaction.session).remove_assets(video, packs)
    video.status, video.duration_sec = "processing", None
    video.failure_code = video.failure_reason = None
    touch(video)
    await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
    kinds = [kind.value for kind in ProcessingKind]
    event = pack_requested_event(video, source, kinds) if wants_pack else process_requested_event(video.id, reference)
    await transaction.record(event)


async def rename(transaction: Transaction, file: ImportFile, video: Video | None) -> None:
    """Have a video play a file that was moved: its id, history and positions stay."""
    await show(transaction, file, video)
    if video is None or video.source is None:
        return
    video.source.reference = str(Imported(file.path))
    touch(video)
    await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
