"""What a scan changes about one film, in the transaction of its step."""

from __future__ import annotations

from datetime import UTC, datetime

from kit.db.database import Transaction
from kit.ids import new_id
from kit.origins import Imported
from marquee.events.v1 import video_pb2
from services.catalog.domain import SOURCE_MISSING, AssetKind, ImportState
from services.catalog.models import Asset, ImportFile, Video
from services.catalog.service.events import process_requested_event, touch, video_event


async def hide(transaction: Transaction, file: ImportFile, video: Video | None, *, prune: bool) -> None:
    """Hide the video of a file that is missing: it is not ready any more. With `prune` it goes into the trash."""
    file.state = ImportState.PRUNED if prune else ImportState.MISSING
    if video is None:
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
    if video.duration_sec is not None:
        video.status = "ready"
        ready = video_pb2.VideoReady(video_id=video.id, title=video.title, duration_sec=video.duration_sec)
        await transaction.record(video_event(ready, video))
    else:
        video.status = "processing"
        await transaction.record(process_requested_event(video.id, str(Imported(file.path))))


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
    video.status, video.duration_sec = "processing", None
    video.failure_code = video.failure_reason = None
    touch(video)
    await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
    await transaction.record(process_requested_event(video.id, reference))


async def rename(transaction: Transaction, file: ImportFile, video: Video | None) -> None:
    """Have a video play a file that was moved: its id, history and positions stay."""
    await show(transaction, file, video)
    if video is None or video.source is None:
        return
    video.source.reference = str(Imported(file.path))
    touch(video)
    await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
