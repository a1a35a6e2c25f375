"""Use cases of views: counters by day, and the log of play sessions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from kit.cursors import decode_moment_cursor, encode_moment_cursor
from kit.db.database import Database, Transaction
from kit.errors import ApiError, invalid_field
from kit.events.envelope import Event
from services.progress.clients.auth import Accounts
from services.progress.clients.catalog import Catalog
from services.progress.domain import (
    ERASED_KEPT,
    LOST_AFTER,
    VIEW_DAYS,
    Began,
    Ended,
    ViewFilter,
    day_of_view,
    first_day,
)
from services.progress.models import View
from services.progress.repository import ViewCountRepository, ViewerRepository, ViewLogRepository
from services.progress.service.points import Points

log = structlog.get_logger()

TRIM_EVERY_SEC = 3600
TRIM_BATCH = 1000
"""Sessions that one transaction removes: SQLite has one writer at a time."""
BATCH = 100
"""Sessions per batch of a long list: as many ids as other services accept in one call."""


class Views:
    """Counters of views by day: each play session is one view."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, transaction: Transaction, begun: Sequence[Began]) -> None:
        """Count play sessions that began. The caller must pass each session once."""
        now = datetime.now(UTC)
        days = ((day_of_view(each.moment, now), each.session.video_id) for each in begun)
        await ViewCountRepository(transaction.session).add(Counter((day, video) for day, video in days if day))

    async def by_videos(self, video_ids: Sequence[str], days: int) -> Mapping[str, int]:
        """Return the views of several videos in the last days, today included; videos without views are left out."""
        async with self._database.read() as session:
            return await ViewCountRepository(session).by_videos(video_ids, first_day(days, datetime.now(UTC)))

    async def trim(self) -> None:
        """Remove days outside of the reporting period, and old erasures; doing it twice changes nothing."""
        now = datetime.now(UTC)
        async with self._database.write() as transaction:
            await ViewCountRepository(transaction.session).delete_before(first_day(VIEW_DAYS, now))
            await ViewerRepository(transaction.session).delete_erased_before(now - ERASED_KEPT)

    async def trim_periodically(self) -> None:
        """Trim periodically, until cancelled."""
        while True:
            await self.trim()
            await asyncio.sleep(TRIM_EVERY_SEC)


@dataclass(frozen=True, slots=True)
class LoggedView:
    """A line of the view log, as administrators read it."""

    view: View
    login_id: str | None
    """None when the account is gone, or auth can't be reached."""
    title: str | None
    """None when the video is gone, or catalog can't be reached."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a play session, and the event that says so."""

    what: Began | Ended
    cause: Event


class ViewLog:
    """Who watched what, when and for how long: one line per play session.

    Args:
        database: progress's database.
        points: earned by views.
        views: counters.
        catalog: for titles.
        accounts: for logins.
        days: how long lines are kept; 0 for ever. Points and counts stay.
    """

    def __init__(
        self,
        database: Database,
        points: Points,
        views: Views,
        catalog: Catalog,
        accounts: Accounts,
        *,
        days: int = 0,
    ) -> None:
        self._days = days
        self._database = database
        self._points = points
        self._views = views
        self._catalog = catalog
        self._accounts = accounts

    async def record(self, transaction: Transaction, changes: Sequence[Change]) -> None:
        """Log and count play sessions, and grant their viewers points for videos not watched before.

        All happens in the caller's transaction, with a constant number of statements; the caller must pass each event
        once. The two events of a session may come in any order. For an erased viewer, only the count is kept.
        """
        if not changes:
            return
        viewers = await ViewerRepository(transaction.session).lock_unless_erased(
            change.what.session.user_id for change in changes
        )
        logged = [change for change in changes if change.what.session.user_id in viewers]
        log_ = ViewLogRepository(transaction.session)
        await log_.started([change.what for change in logged if isinstance(change.what, Began)])
        await log_.stopped([change.what for change in logged if isinstance(change.what, Ended)])
        first_views = [(change.what.session, change.cause) for change in logged if isinstance(change.what, Began)]
        await self._points.grant(transaction, first_views)
        # Last, because all viewers of one film contend for these rows.
        await self._views.count(transaction, [change.what for change in changes if isinstance(change.what, Began)])

    async def trim(self) -> int:
        """Remove lines that are older than they are kept, a batch a transaction; return how many."""
        if not self._days:
            return 0
        moment, total = datetime.now(UTC) - timedelta(days=self._days), 0
        while True:
            async with self._database.write() as transaction:
                removed = await ViewLogRepository(transaction.session).delete_before(moment, TRIM_BATCH)
            total += removed
            if removed < TRIM_BATCH:
                return total

    async def close_lost(self) -> int:
        """End sessions of which nothing was heard for so long that their end must have been lost; return how many."""
        moment, total = datetime.now(UTC) - LOST_AFTER, 0
        while True:
            async with self._database.write() as transaction:
                closed = await ViewLogRepository(transaction.session).close_lost(moment, TRIM_BATCH)
            total += closed
            if closed < TRIM_BATCH:
                return total

    async def trim_periodically(self) -> None:
        """Trim, and end lost sessions, periodically, until cancelled."""
        while True:
            if removed := await self.trim():
                log.info("view_log_trimmed", lines=removed, days=self._days)
            if closed := await self.close_lost():
                log.warning("view_log_closed_lost", lines=closed)
            await asyncio.sleep(TRIM_EVERY_SEC)

    async def page(
        self, wanted: ViewFilter, *, offset: int, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[LoggedView], int, str | None]:
        """Return sessions, newest first, their number up to a limit, and the cursor of the next page.

        Args:
            wanted: conditions.
            offset: how many to skip; not used with a cursor.
            limit: how many to return at most.
            cursor: as the page before gave it.

        Raises:
            ApiError: VALIDATION_FAILED for a cursor that is not one.
        """
        try:
            last = decode_moment_cursor(cursor) if cursor else None
        except ValueError as error:
            raise invalid_field("cursor", str(error)) from error
        async with self._database.read() as session:
            log_ = ViewLogRepository(session)
            total = await log_.count(wanted)
            views = await (log_.after(wanted, last, limit) if last else log_.page(wanted, offset=offset, limit=limit))
        following = encode_moment_cursor(views[-1].started_at, views[-1].session_id) if views else None
        return await self._with_names(views), total, following if len(views) == limit else None

    async def all(self, wanted: ViewFilter) -> AsyncIterator[Sequence[LoggedView]]:
        """Yield all sessions in batches, newest first; no transaction is held while a batch is sent."""
        last: tuple[datetime, str] | None = None
        while True:
            async with self._database.read() as session:
                views = await ViewLogRepository(session).after(wanted, last, BATCH)
            if not views:
                return
            yield await self._with_names(views)
            last = views[-1].started_at, views[-1].session_id

    async def _with_names(self, views: Sequence[View]) -> Sequence[LoggedView]:
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
            # The log is useful even without titles.
            log.warning("view_log_without_titles", code=error.code)
            return {}

    async def _logins(self, ids: set[str]) -> Mapping[str, str]:
        try:
            return await self._accounts.logins(sorted(ids)) if ids else {}
        except ApiError as error:
            log.warning("view_log_without_logins", code=error.code)
            return {}
