"""Use cases that erase data of deleted users and videos."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from kit.db.database import Transaction
from services.progress.repository import (
    BookmarkRepository,
    ViewCountRepository,
    ViewerRepository,
    WatchProgressRepository,
)

log = structlog.get_logger()


async def erase_viewers(transaction: Transaction, user_ids: Collection[str]) -> None:
    """Erase positions, history, bookmarks, view log and points of users whose accounts were deleted.

    Counters by day contain no user ids and stay.
    """
    await ViewerRepository(transaction.session).erase(user_ids, datetime.now(UTC))
    for user_id in user_ids:
        log.info("viewer_erased", user_id=user_id)


async def forget_videos(transaction: Transaction, video_ids: Collection[str]) -> None:
    """Remove positions, bookmarks and counters of purged videos.

    Their lines in the view log and the points that they earned stay.
    """
    await WatchProgressRepository(transaction.session).delete_videos(video_ids)
    await ViewCountRepository(transaction.session).delete_videos(video_ids)
    await BookmarkRepository(transaction.session).delete_videos(video_ids)
