"""Use cases that erase data of deleted users and videos."""

from __future__ import annotations

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


async def erase_viewer(transaction: Transaction, user_id: str) -> None:
    """Erase positions, history, bookmarks, view log and points of a user whose account was deleted.

    Counters by day contain no user ids and stay.
    """
    await ViewerRepository(transaction.session).erase(user_id, datetime.now(UTC))
    log.info("viewer_erased", user_id=user_id)


async def forget_video(transaction: Transaction, video_id: str) -> None:
    """Remove positions, bookmarks and counters of a purged video.

    Its lines in the view log and the points that it earned stay.
    """
    await WatchProgressRepository(transaction.session).delete_video(video_id)
    await ViewCountRepository(transaction.session).delete_video(video_id)
    await BookmarkRepository(transaction.session).delete_video(video_id)
