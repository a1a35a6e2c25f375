"""Bulk work that outlives requests and processes, in steps: each is one short transaction.

A job is a row. The process that works on it holds a lease, which it extends; when it dies, another goes on. A step
locks the row first, so an administrator's stop takes effect between two steps, and a process that lost its lease
changes nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.exc import DBAPIError

from kit.audit import Admin, AuditAction, Detail
from kit.db.database import Database, Transaction
from kit.db.failures import DatabaseUnavailableError
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id, new_id
from services.catalog.domain import JobKind, JobStatus
from services.catalog.models import JobRecord, JobResult
from services.catalog.repository.jobs import JobRepository, active_job
from services.catalog.service.events import SOURCE

log = structlog.get_logger()

LEASE_SEC: Final = 45.0
EXTEND_EVERY_SEC: Final = 10.0
LOOK_EVERY_SEC: Final = 1.0
KEPT: Final = 20
"""Finished jobs of a kind whose reports are kept."""
_REASON_CHARS: Final = 500


class JobStoppedError(Exception):
    """The job was stopped, or another process has taken it over."""


class JobFailedError(Exception):
    """The job can't go on; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a job."""

    transaction: Transaction
    record: JobRecord
    """Locked; what is set here is the job's progress."""

    def count(self, outcome: str, more: int = 1) -> None:
        """Count outcomes."""
        if more:
            self.record.counts = self.record.counts | {outcome: self.record.counts.get(outcome, 0) + more}

    def report(self, results: Sequence[JobResult]) -> None:
        """Add to the report, and count."""
        JobRepository(self.transaction.session).report(results)
        for result in results:
            self.count(result.outcome)

    def finish(self) -> None:
        """Make this the last step."""
        self.record.status = JobStatus.FINISHED
        self.record.finished_at = datetime.now(UTC)


class JobHandle:
    """A job that this process works on."""

    def __init__(self, database: Database, record: JobRecord, holder: str) -> None:
        self.id = record.id
        self.options: Mapping[str, Any] = record.options
        self.admin = Admin(record.actor_id)
        self._database = database
        self._holder = holder

    @asynccontextmanager
    async def step(self) -> AsyncIterator[Step]:
        """Open a transaction of the job. Raises JobStoppedError when it is not this process's any more."""
        async with self._database.write() as transaction:
            record = await JobRepository(transaction.session).get(self.id, lock=True)
            if record is None or record.status != JobStatus.RUNNING or record.holder != self._holder:
                raise JobStoppedError
            yield Step(transaction, record)

    def result(self, outcome: str, path: str, video_id: str | None = None, detail: str = "") -> JobResult:
        """Return a line of the report."""
        shown = path.encode(errors="replace").decode()
        detail = detail[:_REASON_CHARS]
        return JobResult(id=new_id(), job_id=self.id, outcome=outcome, path=shown, video_id=video_id, detail=detail)


class JobRunner:
    """Works on the jobs of one kind, one at a time.

    Args:
        database: where they are.
        kind: which.
        work: does a job to its end, in steps.
    """

    def __init__(self, database: Database, kind: JobKind, work: Callable[[JobHandle], Awaitable[None]]) -> None:
        self._database = database
        self._kind = kind
        self._work = work
        self._holder = new_id()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                while await self.once():
                    pass
            except Exception:
                log.exception("job_not_done", kind=self._kind)
            await asyncio.sleep(LOOK_EVERY_SEC)

    async def once(self) -> bool:
        """Work on one job, if there is one; return whether there was."""
        handle = await self._claim()
        if handle is None:
            return False
        extending = asyncio.create_task(self._extend(handle))
        try:
            await self._work(handle)
        except JobStoppedError:
            log.info("job_stopped", job_id=handle.id)
        except (JobFailedError, OSError) as error:
            await self._fail(handle, str(error))
        except asyncio.CancelledError:
            # Another process, or the next start of this one, goes on at once.
            with suppress(Exception):
                await asyncio.shield(self._release(handle))
            raise
        except (DBAPIError, DatabaseUnavailableError):
            # The database was away, or another process wrote the same: the job goes on when its lease has ended.
            log.warning("job_interrupted", job_id=handle.id)
            raise
        except Exception as error:
            log.exception("job_crashed", job_id=handle.id)
            await self._fail(handle, f"{type(error).__name__}; the log of catalog has more")
        finally:
            extending.cancel()
            await asyncio.wait([extending])
        return True

    async def _claim(self) -> JobHandle | None:
        if await self._database.look(active_job(self._kind)) is None:
            return None
        now = datetime.now(UTC)
        async with self._database.write() as transaction:
            record = await JobRepository(transaction.session).claim(self._kind, now)
            if record is None:
                return None
            record.status, record.holder = JobStatus.RUNNING, self._holder
            record.lease_until = now + timedelta(seconds=LEASE_SEC)
        log.info("job_started", job_id=record.id, kind=self._kind, done=record.done)
        return JobHandle(self._database, record, self._holder)

    async def _extend(self, handle: JobHandle) -> None:
        while True:
            await asyncio.sleep(EXTEND_EVERY_SEC)
            until = datetime.now(UTC) + timedelta(seconds=LEASE_SEC)
            try:
                async with self._database.write() as transaction:
                    await JobRepository(transaction.session).extend(handle.id, self._holder, until)
            except Exception:
                log.exception("lease_not_extended", job_id=handle.id)

    async def _release(self, handle: JobHandle) -> None:
        async with self._database.write() as transaction:
            await JobRepository(transaction.session).release(handle.id, self._holder)

    async def _fail(self, handle: JobHandle, reason: str) -> None:
        log.warning("job_failed", job_id=handle.id, reason=reason)
        with suppress(JobStoppedError):
            async with handle.step() as step:
                step.record.status, step.record.error = JobStatus.FAILED, reason[:_REASON_CHARS]
                step.record.finished_at = datetime.now(UTC)


class Jobs:
    """Starts, shows, stops and resumes jobs on behalf of administrators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(
        self, kind: JobKind, options: dict[str, Any], admin: Admin, action: str, *, total: int | None = None
    ) -> JobRecord:
        """Queue a job; jobs of one kind run one after another. The action is written into the audit log."""
        job = new_job(kind, options, admin.user_id, total)
        details: dict[str, Detail] = {key: str(value) for key, value in options.items() if value}
        if total is not None:
            details["videos"] = total
        async with self._database.write() as transaction:
            jobs = JobRepository(transaction.session)
            await jobs.prune(kind, KEPT)
            jobs.add(job)
            await transaction.record(AuditAction(admin, action, "video", "", details).event(SOURCE))
        log.info("job_queued", job_id=job.id, kind=kind, user_id=admin.user_id)
        return job

    async def reprocess(self, kinds: Sequence[str], admin: Admin) -> JobRecord:
        """Queue that media info and artwork of every video are made again; `kinds` names parts of it, none all."""
        async with self._database.read() as session:
            total = await JobRepository(session).count_sources()
        options = {"kinds": list(kinds)}
        return await self.start(JobKind.REPROCESS, options, admin, "video.process_requested", total=total)

    async def get(self, job_id: str) -> JobRecord:
        """Return a job. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            return _existing(await JobRepository(session).get(job_id) if is_id(job_id) else None)

    async def page(self, *, offset: int, limit: int) -> tuple[Sequence[JobRecord], int]:
        """Return a page of all jobs, the last first, and the total."""
        async with self._database.read() as session:
            return await JobRepository(session).page(offset=offset, limit=limit)

    async def results(
        self, job_id: str, outcome: str | None, *, offset: int, limit: int
    ) -> tuple[Sequence[JobResult], int]:
        """Return a page of a job's report, and the total. Raises ApiError: CONTENT_NOT_FOUND."""
        await self.get(job_id)
        async with self._database.read() as session:
            return await JobRepository(session).results(job_id, outcome, offset=offset, limit=limit)

    async def stop(self, job_id: str) -> JobRecord:
        """Stop a job after its step in hand; one that has ended stays as it is. Raises ApiError: CONTENT_NOT_FOUND."""
        return await self._set(job_id, (JobStatus.QUEUED, JobStatus.RUNNING), JobStatus.STOPPED)

    async def resume(self, job_id: str) -> JobRecord:
        """Let a job that was stopped or failed go on where it ended. Raises ApiError: CONTENT_NOT_FOUND."""
        return await self._set(job_id, (JobStatus.STOPPED, JobStatus.FAILED), JobStatus.QUEUED)

    async def _set(self, job_id: str, before: Sequence[JobStatus], after: JobStatus) -> JobRecord:
        async with self._database.write() as transaction:
            found = await JobRepository(transaction.session).get(job_id, lock=True) if is_id(job_id) else None
            job = _existing(found)
            if job.status in before:
                job.status, job.error, job.holder, job.lease_until = after, None, None, None
                job.finished_at = datetime.now(UTC) if after is JobStatus.STOPPED else None
                log.info("job_changed", job_id=job_id, status=after)
        return job


def new_job(kind: JobKind, options: dict[str, Any], actor_id: str, total: int | None = None) -> JobRecord:
    """Return a job that waits for a process."""
    return JobRecord(
        id=new_id(),
        kind=kind,
        status=JobStatus.QUEUED,
        options=options,
        cursor="",
        total=total,
        done=0,
        counts={},
        actor_id=actor_id,
        created_at=datetime.now(UTC),
    )


def _existing(job: JobRecord | None) -> JobRecord:
    if job is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return job
