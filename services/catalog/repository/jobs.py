"""SQL of bulk jobs and their reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import AssetKind, JobKind, JobStatus
from services.catalog.models import Asset, JobRecord, JobResult, Video

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


def active_job(kind: JobKind) -> Select[str]:
    """Return the statement for the id of a job of a kind that is queued or running."""
    return select(JobRecord.id).where(JobRecord.kind == kind, JobRecord.status.in_(_ACTIVE)).limit(1)


class JobRepository:
    """Bulk jobs."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, job: JobRecord) -> None:
        """Add a job."""
        self._session.add(job)

    async def get(self, job_id: str, *, lock: bool = False) -> JobRecord | None:
        """Return a job, with `lock` locked until the transaction ends."""
        statement = select(JobRecord).where(JobRecord.id == job_id)
        return await self._session.scalar(statement.with_for_update() if lock else statement)

    async def page(self, *, offset: int, limit: int) -> tuple[Sequence[JobRecord], int]:
        """Return a page of all jobs, the last first, and the total."""
        total = await self._session.scalar(select(func.count(JobRecord.id)))
        rows = await self._session.scalars(select(JobRecord).order_by(JobRecord.id.desc()).offset(offset).limit(limit))
        return rows.all(), total or 0

    async def claim(self, kind: JobKind, now: datetime) -> JobRecord | None:
        """Return the oldest job of a kind that no process works on, locked; None if there is none."""
        free = or_(JobRecord.lease_until.is_(None), JobRecord.lease_until < now)
        statement = select(JobRecord).where(JobRecord.kind == kind, JobRecord.status.in_(_ACTIVE), free)
        return await self._session.scalar(statement.order_by(JobRecord.id).limit(1).with_for_update(skip_locked=True))

    async def last(self, kind: JobKind) -> JobRecord | None:
        """Return the job of a kind that was queued last, locked."""
        statement = select(JobRecord).where(JobRecord.kind == kind).order_by(JobRecord.id.desc()).limit(1)
        return await self._session.scalar(statement.with_for_update())

    async def extend(self, job_id: str, holder: str, until: datetime) -> None:
        """Extend the lease of a job that this process works on."""
        own = (JobRecord.id == job_id, JobRecord.holder == holder)
        await self._session.execute(update(JobRecord).where(*own).values(lease_until=until))

    async def release(self, job_id: str, holder: str) -> None:
        """End the lease, so that any process goes on at once."""
        own = (JobRecord.id == job_id, JobRecord.holder == holder)
        await self._session.execute(update(JobRecord).where(*own).values(lease_until=None, holder=None))

    def report(self, results: Sequence[JobResult]) -> None:
        """Add to the report of a job."""
        self._session.add_all(results)

    async def results(
        self, job_id: str, outcome: str | None, *, offset: int, limit: int
    ) -> tuple[Sequence[JobResult], int]:
        """Return a page of a job's report, and the total."""
        conditions = [JobResult.job_id == job_id]
        if outcome is not None:
            conditions.append(JobResult.outcome == outcome)
        total = await self._session.scalar(select(func.count(JobResult.id)).where(*conditions))
        ordered = select(JobResult).where(*conditions).order_by(JobResult.id)
        rows = await self._session.scalars(ordered.offset(offset).limit(limit))
        return rows.all(), total or 0

    async def prune(self, kind: JobKind, keep: int) -> None:
        """Delete all but the last jobs of a kind, with their reports."""
        last = select(JobRecord.id).where(JobRecord.kind == kind).order_by(JobRecord.id.desc()).limit(keep)
        oldest = (await self._session.scalars(last)).all()
        if len(oldest) == keep:
            old = (JobRecord.kind == kind, JobRecord.id < oldest[-1], JobRecord.status.not_in(_ACTIVE))
            await self._session.execute(delete(JobRecord).where(*old))

    async def count_sources(self) -> int:
        """Return how many videos have a source."""
        return await self._session.scalar(select(func.count(Asset.id)).where(Asset.kind == AssetKind.SOURCE)) or 0

    async def sources_after(self, video_id: str, limit: int) -> Sequence[tuple[str, str]]:
        """Return id and source of the next videos in the order of their ids."""
        statement = (
            select(Asset.video_id, Asset.reference)
            .where(Asset.kind == AssetKind.SOURCE, Asset.video_id > video_id)
            .order_by(Asset.video_id)
            .limit(limit)
        )
        return [(found, reference) for found, reference in await self._session.execute(statement)]

    async def retry_failed(self, ids: Sequence[str], besides: str) -> None:
        """Set those of these videos that failed to processing, unless they failed with the code `besides`.

        Protected ones are left out.
        """
        failed = (*_failed(ids, besides), Video.protection == "")
        await self._session.execute(update(Video).where(*failed).values(status="processing", version=Video.version + 1))

    async def failed_protected(self, ids: Sequence[str], besides: str) -> Sequence[Video]:
        """Return those of these videos that are to be protected and failed, unless with the code `besides`; locked."""
        failed = (*_failed(ids, besides), Video.protection != "")
        statement = select(Video).options(selectinload(Video.assets)).where(*failed).with_for_update(of=Video)
        return (await self._session.scalars(statement)).all()


def _failed(ids: Sequence[str], besides: str) -> tuple[ColumnElement[bool], ...]:
    return Video.id.in_(ids), Video.status == "failed", func.coalesce(Video.failure_code, "") != besides
