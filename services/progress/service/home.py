"""What home pages and recommendations need to know of viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.aio.single_flight import SingleFlight
from kit.cache import ExpiringCache
from kit.db.database import Database
from services.progress.domain import VIEW_DAYS, first_day
from services.progress.repository import HomeRepository, Watched

MAX_WATCHED = 100
MAX_TRENDING = 300
MAX_CO_WATCHED = 50
SAMPLED_SESSIONS = 100
"""Latest play sessions of a video whose viewers are asked what else they watched."""
TRENDING_SEC = 4.0
"""Seconds for which the sums of all views are kept."""
CO_WATCHED_SEC = 4.0
"""Seconds for which it is kept what viewers of a video have watched too."""
CO_WATCHED_KEPT = 1000
"""Videos of which that is kept."""
RENEWED_SEC = 2.0
"""Seconds after which they are read anew, while the old ones still answer: that takes long where much is watched."""

log = structlog.get_logger()

Trending = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Home:
    """All that one viewer's home page needs."""

    watched: Sequence[Watched]
    trending: Trending
    co_watched: Sequence[str]
    """Of the first of `watched`."""


class Homes:
    """Answers what viewers have watched, alone and together.

    Args:
        database: where records and views are.
        least: viewers that must have watched two videos before one is named with the other.
    """

    def __init__(self, database: Database, *, least: int) -> None:
        self._database = database
        self._least = least
        self._trending: Trending = ()
        self._trending_at = float("-inf")
        self._renewal: asyncio.Task[Trending] | None = None
        self._flight: SingleFlight[str, Trending] = SingleFlight()
        self._co_watched: ExpiringCache[str, Sequence[str]] = ExpiringCache(CO_WATCHED_KEPT, CO_WATCHED_SEC)

    async def home(self, user_id: str) -> Home:
        """Return what one viewer's home page needs."""
        trending = await self._get_trending()
        async with self._database.read() as session:
            watched = await HomeRepository(session).watched(user_id, MAX_WATCHED)
        co_watched = await self.co_watched(watched[0].video_id) if watched else ()
        return Home(watched, trending, co_watched)

    async def co_watched(self, video_id: str) -> Sequence[str]:
        """Return what else enough viewers of a video have watched, the most viewers first."""
        mark, found = self._co_watched.begin(), self._co_watched.get(video_id)
        if found is None:
            async with self._database.read() as session:
                found = await HomeRepository(session).co_watched(
                    video_id, sessions=SAMPLED_SESSIONS, least=self._least, limit=MAX_CO_WATCHED
                )
            self._co_watched.put(video_id, found, mark)
        return found

    async def close(self) -> None:
        """Wait for what is read in the background, before the database is closed."""
        if self._renewal is not None:
            await asyncio.wait([self._renewal])

    async def _get_trending(self) -> Trending:
        age = time.monotonic() - self._trending_at
        if age < TRENDING_SEC:
            if age >= RENEWED_SEC and (self._renewal is None or self._renewal.done()):
                self._renewal = asyncio.ensure_future(self._flight.run("trending", self._read_trending))
                self._renewal.add_done_callback(_log_failure)
            return self._trending
        return await self._flight.run("trending", self._read_trending)

    async def _read_trending(self) -> Trending:
        began, since = time.monotonic(), first_day(VIEW_DAYS, datetime.now(UTC))
        async with self._database.read() as session:
            self._trending = await HomeRepository(session).trending(since, MAX_TRENDING)
        self._trending_at = began
        return self._trending


def _log_failure(renewal: asyncio.Task[Trending]) -> None:
    """Log why the sums could not be read; the next reader waits for them."""
    if not renewal.cancelled() and (error := renewal.exception()):
        log.warning("trending_not_renewed", reason=str(error))
