"""Keep the index: a video's document is written in the transaction that writes the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, event, inspect, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper

from services.catalog.models import SearchDocument, SearchWord, Video, VideoTag
from services.catalog.search.document import indexed_text

VIDEO: Final = "video"
"""The kind of a video's own document."""
_INDEXED: Final = ("title", "tags", "description")


class SearchIndexRepository:
    """Index videos that are not: rows from before the index, or written by an earlier release.

    Args:
        session: a transaction that writes.
    """

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def index_after(self, last: str, limit: int, *, all_videos: bool) -> tuple[str, int] | None:
        """Index the next videos in the order of their ids; return the last one's id and how many were written.

        None means that there are no more.

        Args:
            last: the id that the previous call returned; empty at the beginning.
            limit: how many videos to look at.
            all_videos: also write documents that seem to be right.
        """
        own = (SearchDocument.video_id == Video.id) & (SearchDocument.kind == VIDEO)
        looked_at = select(Video).where(Video.id > last).order_by(Video.id).limit(limit)
        if not all_videos:
            ids = looked_at.with_only_columns(Video.id).subquery()
            seen = (await self._session.scalars(select(ids.c.id))).all()
            wrong = or_(SearchDocument.id.is_(None), SearchDocument.title != Video.title)
            looked_at = select(Video).outerjoin(SearchDocument, own).where(Video.id.in_(seen), wrong)
        else:
            seen = (await self._session.scalars(looked_at.with_only_columns(Video.id))).all()
        if not seen:
            return None
        videos = (await self._session.scalars(looked_at)).all()
        if videos:
            connection = await self._session.connection()
            await connection.run_sync(_write, videos)
        return max(seen), len(videos)


def _write(connection: Connection, videos: Sequence[Video]) -> None:
    """Write the documents and tags of videos."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    rows: list[dict[str, Any]] = []
    words: set[str] = set()
    for video in videos:
        text = indexed_text(video.title, video.tags, video.description)
        words |= text.vocabulary
        rows.append(
            {
                "kind": VIDEO,
                "item_id": video.id,
                "video_id": video.id,
                "position_sec": None,
                "title": video.title,
                "title_key": text.title_key,
                "folded": text.folded,
                "initials": text.initials,
                "terms": " ".join(sorted(text.tokens)),
            }
        )
    statement = insert(SearchDocument)
    changed = {name: statement.excluded[name] for name in ("title", "title_key", "folded", "initials", "terms")}
    connection.execute(statement.on_conflict_do_update(index_elements=["kind", "item_id"], set_=changed), rows)
    connection.execute(delete(VideoTag).where(VideoTag.video_id.in_([video.id for video in videos])))
    if tags := [{"tag": tag, "video_id": video.id} for video in videos for tag in video.tags]:
        connection.execute(insert(VideoTag).on_conflict_do_nothing(), tags)
    if words:
        # In one order: two transactions that add the same words must not wait for each other.
        new = [{"word": word, "backwards": word[::-1]} for word in sorted(words)]
        connection.execute(insert(SearchWord).on_conflict_do_nothing(), new)


@event.listens_for(Video, "after_insert")
def _index_new(_mapper: Mapper[Video], connection: Connection, video: Video) -> None:
    _write(connection, [video])


@event.listens_for(Video, "after_update")
def _index_changed(_mapper: Mapper[Video], connection: Connection, video: Video) -> None:
    attributes = inspect(video).attrs
    if any(attributes[name].history.has_changes() for name in _INDEXED):
        _write(connection, [video])
