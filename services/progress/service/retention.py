"""Bound how long viewing data is kept. What is counted and summed of it stays right."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from kit.db.database import Database
from services.progress.repository import PointRepository, ViewerRepository, WatchProgressRepository

log = structlog.get_logger()

VIEWERS_EACH: Final = 200
"""Viewers of one transaction: SQLite has one writer at a time."""
EVERY_SEC: Final = 24 * 3600


class Retention:
    """Removes what is older than it is kept, viewer by viewer: no index by time is needed, which each report would pay.

    Args:
        database: progress's database.
        progress_days: how long a position is kept after it changed last; 0 for ever.
        ledger_days: how long lines of ledgers are kept; 0 for ever. The older ones become one line with their sum.
    """

    def __init__(self, database: Database, *, progress_days: int = 0, ledger_days: int = 0) -> None:
        self._database = database
        self._progress = timedelta(days=progress_days)
        self._ledger = timedelta(days=ledger_days)

    async def run(self) -> None:
        """Apply it once a day, until cancelled."""
        while True:
            await self.apply()
            await asyncio.sleep(EVERY_SEC)

    async def apply(self) -> None:
        """Apply it to all viewers; doing it twice changes nothing."""
        now, last, viewers = datetime.now(UTC), "", 0
        while True:
            async with self._database.read() as session:
                user_ids = await ViewerRepository(session).after(last, VIEWERS_EACH)
            if not user_ids:
                break
            async with self._database.write() as transaction:
                session = transaction.session
                # Events about these viewers wait: none adds to a ledger that is being shortened.
                await ViewerRepository(session).lock_existing(user_ids)
                if self._progress:
                    await WatchProgressRepository(session).delete_before(user_ids, now - self._progress)
                if self._ledger:
                    await PointRepository(session).fold_before(user_ids, now - self._ledger)
                viewers += await ViewerRepository(session).delete_empty(user_ids)
            last = user_ids[-1]
        log.info("retention_applied", viewers_removed=viewers)
