"""What a detail and a list cost at least: `python -m loadtest.search.bare PORT DATABASE` serves the same JSON fields.

A route of FastAPI, a statement of SQLAlchemy's ORM and a response model each, and nothing else: no authentication, no
rights, no limits, no logs, no metrics, no entity tags.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import selectinload

from services.catalog.models import Video
from services.catalog.schemas import VideoDetailView, VideoView


class Listed(BaseModel):
    """A page of a list."""

    items: list[VideoView]
    page: int
    page_size: int
    total: int
    next_cursor: str | None


def build(url: str) -> FastAPI:
    """Return the application."""
    engine = create_async_engine(url)
    app = FastAPI()

    @app.get("/videos/{video_id}")
    async def get_video(video_id: str) -> VideoDetailView:
        loads = selectinload(Video.assets), selectinload(Video.artworks), selectinload(Video.jobs)
        async with AsyncSession(engine) as session:
            video = (await session.scalars(select(Video).where(Video.id == video_id).options(*loads))).one()
            film = video.assets[0]
            more: dict[str, Any] = {
                "mime_type": video.mime_type,
                "width": film.width,
                "height": film.height,
                "files": [
                    {
                        "id": film.id,
                        "kind": film.kind,
                        "size": film.size_bytes,
                        "bitrate": film.bitrate_bps,
                        "resolution": f"{film.width}x{film.height}",
                    }
                ],
                "media": film.details,
                "storyboard_url": None,
                "jobs": [],
            }
            return VideoDetailView(**_fields(video), **more)

    @app.get("/videos")
    async def list_videos(page_size: int = 20) -> Listed:
        newest = select(Video).order_by(Video.id.desc()).limit(page_size).options(selectinload(Video.artworks))
        async with AsyncSession(engine) as session:
            videos: Sequence[Video] = (await session.scalars(newest)).all()
            items = [VideoView(**_fields(video)) for video in videos]
            return Listed(items=items, page=1, page_size=page_size, total=10_000, next_cursor=videos[-1].id)

    return app


def _fields(video: Video) -> dict[str, Any]:
    thumbnail = video.thumbnail
    return {
        "id": video.id,
        "title": video.title,
        "description": video.description,
        "tags": video.tags,
        "status": video.status,
        "failure_code": video.failure_code,
        "failure_reason": video.failure_reason,
        "duration_sec": video.duration_sec,
        "thumbnail_url": f"/api/videos/{video.id}/thumbnail?v={thumbnail.version}" if thumbnail else None,
        "thumbhash": video.thumbhash,
        "posters": [],
        "uploader_id": video.uploader_id,
        "corporation_id": video.corporation_id,
        "duplicate_of": video.duplicate_of,
        "protection": None,
        "series_id": video.series_id,
        "season": video.season,
        "episode": video.episode,
        "created_at": video.created_at,
        "updated_at": video.updated_at,
    }


if __name__ == "__main__":
    uvicorn.run(build(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
