"""Reports written in groups (`kit.db.groups`): two statements a group, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from kit.db.database import POOL_TIMEOUT_SEC, Database, Transaction
from kit.db.groups import GROUP_MAX, GroupWriter
from kit.events.envelope import Event
from kit.telemetry import current
from marquee.events.v1 import progress_pb2
from services.progress.domain import Progress, Report, advance, is_longer
from services.progress.repository import RecordKey, WatchProgressRepository

INTERVAL_SEC: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Reported:
    """A report and the request that brought it."""

    key: RecordKey
    report: Report
    traceparent: str
    request_id: str


class ReportWriter:
    """Apply reports to existing records, in the order of their arrival."""

    def __init__(self, database: Database) -> None:
        self._groups = GroupWriter(
            database,
            _apply,
            service="progress",
            most=GROUP_MAX,
            interval_sec=INTERVAL_SEC,
            wait_sec=POOL_TIMEOUT_SEC,
        )

    async def close(self) -> None:
        """Wait until nothing is being written."""
        await self._groups.close()

    async def write(self, user_id: str, video_id: str, report: Report) -> Progress | None:
        """Apply a report and return the resulting progress once it is committed.

        None means that the video's facts are needed: there is no record, or the report claims a longer film than that.

        Raises:
            DatabaseUnavailableError: as `Database.write`.
        """
        key = RecordKey(user_id, video_id)
        return await self._groups.write(_Reported(key, report, current("traceparent"), current("request_id")))


async def _apply(transaction: Transaction, group: Sequence[_Reported]) -> list[Progress | None]:
    """Apply reports to their locked records, one after the other; return what `ReportWriter.write` does for each."""
    records = WatchProgressRepository(transaction.session)
    locked = await records.lock({reported.key for reported in group})
    # The clock is read under the locks, so that `updated_at` never goes back.
    now = datetime.now(UTC)
    results: list[Progress | None] = []
    changed: set[RecordKey] = set()
    events: list[Event] = []
    for reported in group:
        record = locked.get(reported.key)
        if record is None or is_longer(reported.report, record.progress):
            results.append(None)
            continue
        before, after = record.progress, advance(record.progress, reported.report, now)
        results.append(after or before)
        if after is None:
            continue
        record.progress = after
        record.version += 1
        changed.add(reported.key)
        if after.completed and not before.completed:
            event = completed_event(*reported.key, after, version=record.version)
            events.append(replace(event, traceparent=reported.traceparent, request_id=reported.request_id))
    if changed:
        await records.update({key: locked[key] for key in sorted(changed)}, now)
    if events:
        await transaction.record(*events)
    return results


def completed_event(user_id: str, video_id: str, progress: Progress, *, version: int) -> Event:
    """Return the event that a viewer has completed a video."""
    message = progress_pb2.ProgressCompleted(user_id=user_id, video_id=video_id, duration_sec=progress.duration_sec)
    return Event.of(message, source="progress", subject=f"{user_id}:{video_id}", version=version)
