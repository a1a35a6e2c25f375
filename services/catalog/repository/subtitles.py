"""SQL of subtitles."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.catalog.models import Subtitle


class SubtitleRepository:
    """The subtitles of videos. Whether a caller may see a video is checked before."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_video(self, video_id: str) -> Sequence[Subtitle]:
        """Return those of one video, by language, full ones first."""
        order = (Subtitle.language, Subtitle.forced, Subtitle.sdh, Subtitle.id)
        return (
            await self._session.scalars(select(Subtitle).where(Subtitle.video_id == video_id).order_by(*order))
        ).all()

    async def get(self, video_id: str, track: str) -> Subtitle | None:
        """Return one track of a video."""
        statement = select(Subtitle).where(Subtitle.video_id == video_id, Subtitle.track == track)
        return await self._session.scalar(statement)

    async def put(self, subtitle: Subtitle) -> Subtitle | None:
        """Add a track; return the one whose place it takes, which is deleted. Lock the video before."""
        former = await self.get(subtitle.video_id, subtitle.track)
        if former is not None:
            await self.delete(former)
        self._session.add(subtitle)
        return former

    async def delete(self, subtitle: Subtitle) -> None:
        """Delete a track."""
        await self._session.execute(delete(Subtitle).where(Subtitle.id == subtitle.id))
        self._session.expunge(subtitle)
