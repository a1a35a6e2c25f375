"""A library of generated films in a database of its own, indexed as a running catalog does it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.ids import new_id
from services.catalog.__main__ import MIGRATIONS
from services.catalog.models import Artwork, Asset, Highlight, HighlightPlayer, Series, Video
from services.catalog.service import SearchIndexer

_BATCH = 5000
TAGS = ("poker", "drama", "comedy", "news", "sports", "music", "kids", "documentary")
CORPORATIONS = tuple(new_id() for _ in range(10))
CATEGORIES = ("bluff", "all in", "bad beat", "hero call")
PLAYERS = tuple(f"player {number}" for number in range(200))
_IN_SERIES = 10
"""Every so many films one is an episode."""
_EPISODES = 20
_WITH_HIGHLIGHT = 2
"""Every so many films one has a highlight."""
_NOT_READY = 50
"""Every so many films one is still processed."""


@dataclass(frozen=True, slots=True)
class Library:
    """What was written."""

    ids: list[str]
    """Of the films, in the order of their titles; the first is the oldest."""
    index_sec: float
    """Seconds that the index took for each film."""

    @property
    def ready(self) -> list[str]:
        """The films that can be watched by all members."""
        return [each for number, each in enumerate(self.ids) if number % _NOT_READY and number % 4]


def create(url: str) -> None:
    """Make the tables."""
    upgrade(MIGRATIONS, url)


async def fill(database: Database, titles: list[str]) -> Library:
    """Insert a film for each title, with series and highlights, and index them."""
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    ids = sorted(new_id() for _ in titles)
    series = [new_id() for _ in range(len(titles) // (_IN_SERIES * _EPISODES) + 1)]
    async with database.write() as transaction:
        await transaction.session.execute(insert(Series), [_series(each, n, begin) for n, each in enumerate(series)])
    for start in range(0, len(titles), _BATCH):
        numbers = range(start, min(start + _BATCH, len(titles)))
        videos = [_video(ids[n], n, titles[n], begin + timedelta(minutes=n), series) for n in numbers]
        highlights = [_highlight(each, n) for each, n in zip(videos, numbers, strict=True) if n % _WITH_HIGHLIGHT == 0]
        async with database.write() as transaction:
            connection = await transaction.session.connection()
            await connection.execute(insert(Video), videos)
            await connection.execute(insert(Asset), [_asset(each, n) for each, n in zip(videos, numbers, strict=True)])
            await connection.execute(insert(Artwork), [_artwork(each) for each in videos])
            await connection.execute(insert(Highlight), highlights)
            players = [
                {"highlight_id": each["id"], "player_key": key}
                for each in highlights
                for key in dict.fromkeys(each["players"])
            ]
            await connection.execute(insert(HighlightPlayer), players)
    started = time.perf_counter()
    await SearchIndexer(database).complete()
    spent = time.perf_counter() - started
    async with database.engine.connect() as plain:
        outside = await plain.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE"))
    return Library(ids, spent / len(titles))


async def add_singly(database: Database, titles: list[str]) -> list[float]:
    """Add a film for each title, with its index, a transaction each; return the milliseconds of each."""
    taken: list[float] = []
    for number, title in enumerate(titles):
        values = _video(new_id(), number, f"{title} {number}", datetime.now(UTC), [])
        video = Video(**values | {"series_id": None, "season": None, "episode": None})
        started = time.perf_counter()
        async with database.write() as transaction:
            transaction.session.add(video)
        taken.append(1000 * (time.perf_counter() - started))
    return taken


def _series(series_id: str, number: int, at: datetime) -> dict[str, object]:
    return {
        "id": series_id,
        "title": f"Series {number}",
        "description": "",
        "tags": [],
        "owner_id": "uploader-0",
        "created_at": at,
        "updated_at": at,
        "version": 1,
    }


def _highlight(video: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "id": new_id(),
        "video_id": video["id"],
        "start_sec": 1.0,
        "end_sec": 20.0,
        "category": CATEGORIES[number // 2 % len(CATEGORIES)],
        "title": f"Hand {number}",
        "players": [PLAYERS[number % len(PLAYERS)], PLAYERS[number * 7 % (len(PLAYERS) - 1)]][: 1 + number % 3 // 2],
        "pot_size": float(number * 7919 % 1_000_003),
        "created_at": video["created_at"],
        "updated_at": video["created_at"],
    }


def _video(video_id: str, number: int, title: str, at: datetime, series: list[str]) -> dict[str, Any]:
    episode, is_episode = divmod(number, _IN_SERIES)
    return {
        "id": video_id,
        "title": title,
        "search_key": title.casefold(),
        "description": "",
        "tags": [TAGS[number % len(TAGS)]],
        "status": "ready" if number % _NOT_READY else "processing",
        "uploader_id": f"uploader-{number % 20}",
        "corporation_id": CORPORATIONS[number % 10] if number % 4 == 0 else None,
        "mime_type": "video/mp4",
        "duration_sec": float(60 + number % 7200) if number % _NOT_READY else None,
        "created_at": at,
        "updated_at": at,
        "version": 1,
        "series_id": None if is_episode else series[episode // _EPISODES] if series else None,
        "season": None if is_episode else 1,
        "episode": None if is_episode else episode % _EPISODES + 1,
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
