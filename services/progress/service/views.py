"""Use cases about what is watched: counters by day, and the log of play sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.db.database import Database, Transaction
from kit.errors import ApiError
from services.progress.clients.auth import People
from services.progress.clients.catalog import Catalog
from services.progress.domain import ERASED_KEPT, VIEW_DAYS, Session, ViewFilter, day_of_view, first_day
from services.progress.models import View
from services.progress.repository import ViewCountRepository, ViewerRepository, ViewLogRepository
from services.progress.service.points import Points

log = structlog.get_logger()

TRIM_EVERY_SEC = 3600
BATCH = 100
"""How many sessions of a long list are looked at together: as many as others answer about at once."""


class Views:
    """How often videos are watched: one view a play session, by day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, transaction: Transaction, video_id: str, moment: datetime) -> None:
        """Counts a play session that began at a moment. The caller sees to it that each comes once."""
        if day := day_of_view(moment, datetime.now(UTC)):
            await ViewCountRepository(transaction.session).add(day, video_id)

    async def of(self, video_ids: Sequence[str], days: int) -> Mapping[str, int]:
        """The views of several videos in the last days, today included; those without any are left out."""
        async with self._database.read() as session:
            return await ViewCountRepository(session).of(video_ids, first_day(days, datetime.now(UTC)))

    async def trim(self) -> None:
        """Forgets days that nobody may ask for any more, and old erasures; doing it twice changes nothing."""
        now = datetime.now(UTC)
        async with self._database.write() as transaction:
            await ViewCountRepository(transaction.session).delete_before(first_day(VIEW_DAYS, now))
            await ViewerRepository(transaction.session).delete_erased_before(now - ERASED_KEPT)

    async def keep_trimmed(self) -> None:
        """Trims until cancelled."""
        while True:
            await self.trim()
            await asyncio.sleep(TRIM_EVERY_SEC)


@dataclass(frozen=True, slots=True)
class LoggedView:
    """A line of the view log, as administrators read it."""

    view: View
    login_id: str | None
    """None when the account is gone, or auth can't be asked now."""
    title: str | None
    """None when the video is gone, or catalog can't be asked now."""


class ViewLog:
    """Who watched what, when and for how long: a line a play session."""

    def __init__(self, database: Database, points: Points, views: Views, catalog: Catalog, people: People) -> None:
        self._database = database
        self._points = points
        self._views = views
        self._catalog = catalog
        self._people = people

    async def started(self, transaction: Transaction, view: Session, moment: datetime) -> None:
        """A session began: it is logged, counted, and earns its viewer points for a video not watched before.

        All in the caller's transaction, and once: the caller sees to it that each session comes once. Of somebody who
        was erased nothing is kept but the count.
        """
        if await ViewerRepository(transaction.session).enter(view.user_id):
            await ViewLogRepository(transaction.session).started(view, moment)
            await self._points.grant(transaction, view.user_id, view.video_id)
        # Last: it is the row that viewers of one film contend for.
        await self._views.count(transaction, view.video_id, moment)

    async def stopped(
        self, transaction: Transaction, view: Session, moment: datetime, *, seconds: float, bytes_sent: int
    ) -> None:
        """A session ended; its beginning may be told later."""
        if await ViewerRepository(transaction.session).enter(view.user_id):
            log_ = ViewLogRepository(transaction.session)
            await log_.stopped(view, moment, seconds=seconds, bytes_sent=bytes_sent)

    async def page(self, wanted: ViewFilter, *, offset: int, limit: int) -> tuple[Sequence[LoggedView], int]:
        """Sessions, the newest first, and how many there are in all."""
        async with self._database.read() as session:
            views, total = await ViewLogRepository(session).page(wanted, offset=offset, limit=limit)
        return await self._explained(views), total

    async def all(self, wanted: ViewFilter) -> AsyncIterator[Sequence[LoggedView]]:
        """All sessions, the newest first, some at a time: no transaction is held while they are sent."""
        last: View | None = None
        while True:
            async with self._database.read() as session:
                views = await ViewLogRepository(session).after(wanted, last, BATCH)
            if not views:
                return
            yield await self._explained(views)
            last = views[-1]

    async def _explained(self, views: Sequence[View]) -> Sequence[LoggedView]:
        titles, logins = await asyncio.gather(
            self._titles({view.video_id for view in views}), self._logins({view.user_id for view in views})
        )
        return [LoggedView(view, logins.get(view.user_id), titles.get(view.video_id)) for view in views]

    async def _titles(self, ids: set[str]) -> Mapping[str, str]:
        try:
            return (
                {video.id: video.title for video in (await self._catalog.videos(sorted(ids))).values()} if ids else {}
            )
        except ApiError as error:
            # Who watched what is worth showing without names, too.
            log.warning("view_log_without_titles", code=error.code)
            return {}

    async def _logins(self, ids: set[str]) -> Mapping[str, str]:
        try:
            return await self._people.logins(sorted(ids)) if ids else {}
        except ApiError as error:
            log.warning("view_log_without_logins", code=error.code)
            return {}
