"""Reports written in groups: those that arrive while a transaction is running are committed together by the next one.

A commit costs the same for one report and for a hundred, and most of the processor time of a report is its transaction.
A group is two statements, whatever its size. Each report is answered after its commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from kit.db.database import Database, Transaction
from kit.db.failures import DatabaseUnavailableError
from kit.events.envelope import Event
from kit.telemetry import current, service_context
from marquee.events.v1 import progress_pb2
from services.progress.domain import Progress, Report, advance, is_longer
from services.progress.repository import RecordKey, WatchProgressRepository

log = structlog.get_logger()

GROUP_MAX: Final = 200
"""Reports of one transaction at most: that bounds its statements and how long it holds its locks."""
INTERVAL_SEC: Final = 0.02
"""Least time between the starts of two transactions: under load it fills groups; a lone report never waits."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A report that waits for its transaction."""

    key: RecordKey
    report: Report
    result: asyncio.Future[Progress | None]
    traceparent: str
    request_id: str


class ReportWriter:
    """Apply reports to existing records, in the order of their arrival."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[_Pending] = []
        self._running: asyncio.Task[None] | None = None
        self._started = 0.0

    async def write(self, user_id: str, video_id: str, report: Report) -> Progress | None:
        """Apply a report and return the resulting progress once it is committed.

        None means that the video's facts are needed: there is no record, or the report claims a longer film than it.

        Raises:
            DatabaseUnavailableError: as `Database.write`.
        """
        result: asyncio.Future[Progress | None] = asyncio.get_running_loop().create_future()
        key = RecordKey(user_id, video_id)
        self._pending.append(_Pending(key, report, result, current("traceparent"), current("request_id")))
        if self._running is None:
            # A context of its own: the groups to come belong to other requests.
            self._running = asyncio.create_task(self._run(), context=Context())
        return await result

    async def _run(self) -> None:
        """Write groups until no report waits."""
        clock = asyncio.get_running_loop().time
        try:
            with service_context("progress"):
                while self._pending:
                    if (pause := self._started + INTERVAL_SEC - clock()) > 0:
                        await asyncio.sleep(pause)
                    self._started = clock()
                    group, self._pending = self._pending[:GROUP_MAX], self._pending[GROUP_MAX:]
                    await self._write(group)
        finally:
            self._running = None

    async def _write(self, group: Sequence[_Pending]) -> None:
        try:
            await self._commit(group)
        except DatabaseUnavailableError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - raised where the reports are awaited
            if len(group) == 1:
                _fail(group, error)
                return
            # A deadlock with a deletion of many records, or a defect of one report: it must not fail the others.
            log.warning("report_group_failed", reports=len(group), error=str(error).partition("\n")[0])
            for one in group:
                await self._write([one])

    async def _commit(self, group: Sequence[_Pending]) -> None:
        async with self._database.write() as transaction:
            results = await _apply(transaction, group)
        for pending, progress in zip(group, results, strict=True):
            if not pending.result.done():
                pending.result.set_result(progress)


async def _apply(transaction: Transaction, group: Sequence[_Pending]) -> list[Progress | None]:
    """Apply reports to their locked records, one after the other; return what `ReportWriter.write` does for each."""
    records = WatchProgressRepository(transaction.session)
    locked = await records.lock({pending.key for pending in group})
    # The clock is read under the locks, so that `updated_at` never goes back.
    now = datetime.now(UTC)
    results: list[Progress | None] = []
    changed: set[RecordKey] = set()
    for pending in group:
        record = locked.get(pending.key)
        if record is None or is_longer(pending.report, record.progress):
            results.append(None)
            continue
        before, after = record.progress, advance(record.progress, pending.report, now)
        results.append(after or before)
        if after is None:
            continue
        record.progress = after
        record.version += 1
        changed.add(pending.key)
        if after.completed and not before.completed:
            event = completed_event(*pending.key, after, version=record.version)
            await transaction.record(replace(event, traceparent=pending.traceparent, request_id=pending.request_id))
    if changed:
        await records.update({key: locked[key] for key in sorted(changed)}, now)
    return results


def completed_event(user_id: str, video_id: str, progress: Progress, *, version: int) -> Event:
    """Return the event that a viewer has completed a video."""
    message = progress_pb2.ProgressCompleted(user_id=user_id, video_id=video_id, duration_sec=progress.duration_sec)
    return Event.of(message, source="progress", subject=f"{user_id}:{video_id}", version=version)


def _fail(group: Sequence[_Pending], error: Exception) -> None:
    for pending in group:
        if not pending.result.done():
            pending.result.set_exception(error)
