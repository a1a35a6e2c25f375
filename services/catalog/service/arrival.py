"""A whole upload becomes a video: what multipart and resumable uploads share."""

from __future__ import annotations

from datetime import UTC, datetime

from kit.db.database import Transaction
from kit.errors import ApiError, ErrorCode
from kit.ids import new_id
from services.catalog.domain import AssetKind, Labels
from services.catalog.models import Asset, Video
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.events import uploaded_event

UPLOAD_TYPE = "video/mp4"
"""The media type of an upload until thumbnailer has looked into it."""


def new_video(
    video_id: str,
    reference: str,
    *,
    size_bytes: int,
    mime_type: str,
    labels: Labels,
    uploader_id: str,
    sha256: str | None = None,
) -> Video:
    """Return a video whose source is about to be processed."""
    now = datetime.now(UTC)
    source = Asset(
        id=new_id(),
        kind=AssetKind.SOURCE,
        reference=reference,
        size_bytes=size_bytes,
        version=1,
        sha256=sha256,
        created_at=now,
    )
    return Video(
        id=video_id,
        title=labels.title,
        description=labels.description,
        tags=labels.tags,
        status="processing",
        uploader_id=uploader_id,
        corporation_id=labels.corporation_id,
        mime_type=mime_type,
        protection=labels.protection,
        pack_asset_id=new_id() if labels.protection else None,
        created_at=now,
        updated_at=now,
        version=1,
        assets=[source],
        artworks=[],
        jobs=[],
    )


async def find_duplicate(transaction: Transaction, sha256: str, corporation_id: str | None) -> str | None:
    """Return the video that has these bytes already; until the transaction ends no other one can get them."""
    videos = VideoRepository(transaction.session)
    await videos.lock_content(sha256)
    return await videos.find_duplicate(sha256, corporation_id)


async def add_arrived(transaction: Transaction, video: Video, duplicate_of: str | None) -> None:
    """Add the video of an upload, with the event that has it processed."""
    video.duplicate_of = duplicate_of
    VideoRepository(transaction.session).add(video)
    await transaction.record(uploaded_event(video, video.assets[0]))


def duplicate_error(video_id: str | None) -> ApiError:
    """Return the error for bytes that a video has already, where duplicates are refused."""
    message = "A video of the library has these very bytes already."
    return ApiError(ErrorCode.UPLOAD_CONFLICT, message, details={"video_id": video_id})
