"""The events that catalog records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import Message

from kit.audit import Admin, AuditAction, Detail
from kit.events.envelope import Event
from marquee.events.v1 import video_pb2
from services.catalog.models import Asset, Video

SOURCE = "catalog"


def touch(video: Video) -> None:
    """Record that a video has changed: its next event has a newer version."""
    video.version += 1
    video.updated_at = datetime.now(UTC)


def video_event(message: Message, video: Video) -> Event:
    """Return an event about a video as it is now."""
    return Event.of(message, source=SOURCE, subject=video.id, version=video.version)


def audit_event(admin: Admin, action: str, video_id: str = "", **details: Detail) -> Event:
    """Return an event for the audit log: what an administrator did to a video, or to all of them without an id."""
    return AuditAction(admin, action, "video", video_id, details).event(SOURCE)


@dataclass(frozen=True, slots=True)
class PackRequest:
    """The pack that is to be made of a film."""

    asset_id: str
    content_version: int
    present: Asset | None = None
    """The pack that it is made of; None where it is made of the source."""


def uploaded_event(video: Video, source: Asset) -> Event:
    """Return the event that has a new video processed."""
    message = video_pb2.VideoUploaded(
        video_id=video.id,
        reference=source.reference,
        size_bytes=source.size_bytes,
        uploader_id=video.uploader_id,
        title=video.title,
        pack_asset_id=video.pack_asset_id or "",
        content_version=source.version if video.pack_asset_id else 0,
    )
    return video_event(message, video)


def process_requested_event(
    video_id: str, reference: str, kinds: Iterable[str] = (), pack: PackRequest | None = None
) -> Event:
    """Return the event that has a video's source processed again; `kinds` names the jobs, none all but packing."""
    message = video_pb2.VideoProcessRequested(
        video_id=video_id,
        reference=reference,
        kinds=kinds,
        pack_asset_id=pack.asset_id if pack else "",
        content_version=pack.content_version if pack else 0,
        present_pack_asset_id=pack.present.id if pack and pack.present else "",
        present_content_version=pack.present.version if pack and pack.present else 0,
    )
    return Event.of(message, source=SOURCE, subject=video_id)
