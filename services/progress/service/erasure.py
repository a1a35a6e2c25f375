"""Use cases about what must not be kept any longer."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from kit.db.database import Transaction
from services.progress.repository import ViewCountRepository, ViewerRepository, WatchProgressRepository

log = structlog.get_logger()


async def erase_viewer(transaction: Transaction, user_id: str) -> None:
    """Removes positions, history, view log and points of somebody whose account is gone, for good.

    Counters by day name nobody and stay.
    """
    await ViewerRepository(transaction.session).erase(user_id, datetime.now(UTC))
    log.info("viewer_erased", user_id=user_id)


async def forget_video(transaction: Transaction, video_id: str) -> None:
    """Removes positions and counters of a video that is gone for good.

    That it was watched stays in the view log, and what that earned in the ledger.
    """
    await WatchProgressRepository(transaction.session).delete_video(video_id)
    await ViewCountRepository(transaction.session).delete_video(video_id)
