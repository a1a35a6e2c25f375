"""Shapes of catalog's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from kit.http import View
from services.catalog.domain import VideoStatus
from services.catalog.models import Video
from services.catalog.service import thumbnail_of


class FileView(View):
    """One file of a video."""

    size: int = Field(description="In bytes.")
    bitrate: int | None = Field(description="In bits a second.")
    resolution: str | None = Field(description="Width x height in pixels.")


class VideoView(View):
    """A video in a list."""

    id: str
    title: str
    description: str
    tags: list[str]
    status: VideoStatus
    failure_code: str | None
    failure_reason: str | None
    duration_sec: float | None
    thumbnail_url: str | None
    uploader_id: str
    corporation_id: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, video: Video) -> VideoView:
        """A loaded video as the API shows it."""
        return cls(**_plain(video))


class VideoDetailView(VideoView):
    """A video with its technical facts."""

    mime_type: str
    width: int | None
    height: int | None
    files: list[FileView]

    @classmethod
    def of(cls, video: Video) -> VideoDetailView:
        """A loaded video as the API shows it."""
        first = video.files[0] if video.files else None
        return cls(
            **_plain(video),
            mime_type=video.mime_type,
            width=first.width if first else None,
            height=first.height if first else None,
            files=[
                FileView(
                    size=file.size_bytes,
                    bitrate=file.bitrate_bps,
                    resolution=f"{file.width}x{file.height}" if file.width else None,
                )
                for file in video.files
            ],
        )


class ProcessingView(View):
    """How much was set going."""

    requested: int


class HealthView(View):
    """How the platform is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    services: dict[str, str]
    dependencies: dict[str, str]


def thumbnail_url(video: Video) -> str | None:
    """Where a loaded video's thumbnail is; the address changes with the picture, so it can be cached."""
    artwork = thumbnail_of(video)
    if artwork is None:
        return None
    return f"/api/videos/{video.id}/thumbnail?v={int(artwork.created_at.timestamp() * 1000)}"


def _plain(video: Video) -> dict[str, Any]:
    names = VideoView.model_fields.keys() - {"thumbnail_url"}
    return {name: getattr(video, name) for name in names} | {"thumbnail_url": thumbnail_url(video)}
