"""Begin scans of the folder of imported films: when an administrator asks, and by a schedule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from kit.audit import Admin
from kit.db.database import Database
from kit.errors import invalid_field
from kit.media import InvalidReferenceError
from kit.origins.references import check_path
from services.catalog.domain import JobKind
from services.catalog.models import JobRecord
from services.catalog.repository.jobs import JobRepository
from services.catalog.service import import_files
from services.catalog.service.jobs import Jobs, new_job

log = structlog.get_logger()

LOOK_EVERY_SEC: Final = 60.0


class Scans:
    """Begins scans on behalf of administrators."""

    def __init__(self, jobs: Jobs, folder: Path | None) -> None:
        self._jobs = jobs
        self._folder = folder

    async def start(self, folder: str, admin: Admin, *, prune: bool, rescan: bool) -> JobRecord:
        """Queue a scan of a folder below that of imported films.

        Raises:
            ApiError: VALIDATION_FAILED for the field `folder`, when there is no such folder.
        """
        if self._folder is None:
            raise invalid_field("folder", "this platform has no folder to import from: MARQUEE_IMPORT_DIR is not set")
        folder = folder.strip("/")
        try:
            if folder:
                check_path(folder)
            await asyncio.to_thread(import_files.list_folder, self._folder, folder)
        except InvalidReferenceError as error:
            raise invalid_field("folder", str(error)) from error
        except OSError as error:
            raise invalid_field("folder", f"it can't be read: {error.strerror}") from error
        options = {"folder": folder, "prune": prune, "rescan": rescan}
        return await self._jobs.start(JobKind.IMPORT, options, admin, "video.import_started")


class ScanSchedule:
    """Scans the whole folder again when the last scan is old enough, for the administrator who began that one."""

    def __init__(self, database: Database, every: timedelta) -> None:
        self._database = database
        self._every = every

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.once(datetime.now(UTC))
            except Exception:
                log.exception("scan_not_scheduled")
            await asyncio.sleep(LOOK_EVERY_SEC)

    async def once(self, now: datetime) -> bool:
        """Queue a scan if it is time; return whether it was. Nothing happens before an administrator's first scan."""
        async with self._database.write() as transaction:
            jobs = JobRepository(transaction.session)
            last = await jobs.last(JobKind.IMPORT)
            if last is None or last.finished_at is None or last.created_at > now - self._every:
                return False
            job = new_job(JobKind.IMPORT, {"folder": "", "prune": False, "rescan": False}, last.actor_id)
            jobs.add(job)
        log.info("scan_scheduled", job_id=job.id)
        return True
