"""Use cases of watchlists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from services.catalog.domain import Caller
from services.catalog.models import Video
from services.catalog.repository.videos import VisibleVideoRepository
from services.catalog.watchlist.repository import WatchlistRepository

log = structlog.get_logger()

ERASED_KEPT = timedelta(days=30)
"""How long erased users are remembered: longer than any access token lives."""


class Watchlists:
    """What users want to watch later."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, video_id: str, caller: Caller) -> None:
        """Put a video on the caller's list; doing it twice changes nothing.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_INVALID_TOKEN when the caller's account was deleted.
        """
        async with self._database.write() as transaction:
            visible = VisibleVideoRepository(transaction.session, caller)
            if not is_id(video_id) or await visible.get(video_id) is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            watchlists = WatchlistRepository(transaction.session)
            if not await watchlists.lock_unless_erased(caller.user_id):
                # An access token may outlive its account by seconds.
                raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
            await watchlists.add(caller.user_id, video_id, datetime.now(UTC))

    async def added_at(self, video_id: str, caller: Caller) -> datetime | None:
        """Return when a video was put on the caller's list; None when it is not there, or not visible."""
        async with self._database.read() as session:
            return await WatchlistRepository(session).added_at(caller, video_id)

    async def remove(self, video_id: str, caller: Caller) -> None:
        """Take a video off the caller's list; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await WatchlistRepository(transaction.session).remove(caller.user_id, video_id)

    async def page(self, caller: Caller, *, offset: int, limit: int) -> tuple[Sequence[tuple[Video, datetime]], int]:
        """Return what is on the caller's list and visible, the last added first, and the total."""
        async with self._database.read() as session:
            return await WatchlistRepository(session).page(caller, offset=offset, limit=limit)


async def erase_watchlists(transaction: Transaction, user_ids: Collection[str]) -> None:
    """Erase the lists of users whose accounts were deleted, and forget erasures of long ago."""
    now = datetime.now(UTC)
    watchlists = WatchlistRepository(transaction.session)
    await watchlists.erase(user_ids, now)
    await watchlists.forget_erased_before(now - ERASED_KEPT)
    for user_id in user_ids:
        log.info("watchlist_erased", user_id=user_id)
