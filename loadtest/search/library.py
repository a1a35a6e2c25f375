"""A library of generated films in a database of its own, indexed as a running catalog does it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.ids import new_id
from services.catalog.__main__ import MIGRATIONS
from services.catalog.models import Artwork, Asset, Video
from services.catalog.service import SearchIndexer

_BATCH = 5000
_TAGS = ("poker", "drama", "comedy", "news", "sports", "music", "kids", "documentary")
CORPORATIONS = tuple(new_id() for _ in range(10))


def create(url: str) -> None:
    """Make the tables."""
    upgrade(MIGRATIONS, url)


async def fill(database: Database, titles: list[str]) -> float:
    """Insert a film for each title and index them; return the seconds that the index took for each film."""
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    ids = sorted(new_id() for _ in titles)
    for start in range(0, len(titles), _BATCH):
        numbers = range(start, min(start + _BATCH, len(titles)))
        videos = [_video(ids[n], n, titles[n], begin + timedelta(minutes=n)) for n in numbers]
        async with database.write() as transaction:
            connection = await transaction.session.connection()
            await connection.execute(insert(Video), videos)
            await connection.execute(insert(Asset), [_asset(each, n) for each, n in zip(videos, numbers, strict=True)])
            await connection.execute(insert(Artwork), [_artwork(each) for each in videos])
    started = time.perf_counter()
    await SearchIndexer(database).complete()
    spent = time.perf_counter() - started
    async with database.engine.connect() as plain:
        outside = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))
    return spent / len(titles)


def _video(video_id: str, number: int, title: str, at: datetime) -> dict[str, object]:
    return {
        "id": video_id,
        "title": title,
        "search_key": title.casefold(),
        "description": "",
        "tags": [_TAGS[number % len(_TAGS)]],
        "status": "ready" if number % 50 else "processing",
        "uploader_id": f"uploader-{number % 20}",
        "corporation_id": CORPORATIONS[number % 10] if number % 4 == 0 else None,
        "mime_type": "video/mp4",
        "duration_sec": float(60 + number % 7200) if number % 50 else None,
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }


def _asset(video: dict[str, object], number: int) -> dict[str, object]:
    return {
        "id": new_id(),
        "video_id": video["id"],
        "kind": "source",
        "reference": f"videos/{video['id']}/source",
        "size_bytes": 1,
        "video_codec": ("H.264", "H.265", "AV1")[number % 3],
        "audio_codec": "AAC",
        "width": (1280, 1920, 3840)[number % 3],
        "height": (720, 1080, 2160)[number % 3],
        "bitrate_bps": 2_000_000,
        "created_at": video["created_at"],
    }


def _artwork(video: dict[str, object]) -> dict[str, object]:
    return {
        "id": new_id(),
        "video_id": video["id"],
        "kind": "thumbnail",
        "reference": f"videos/{video['id']}/thumbnail.jpg",
        "created_at": video["created_at"],
    }
