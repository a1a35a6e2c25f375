"""Routes of bulk jobs, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from kit.auth.authentication import CurrentAdmin, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Page, Paging, View, errors, paging
from services.catalog.domain import JobKind, JobStatus
from services.catalog.models import JobRecord
from services.catalog.service.jobs import Jobs


class JobView(View):
    """Bulk work: how far it is."""

    id: str
    kind: JobKind
    status: JobStatus
    options: dict[str, Any]
    total: int | None = Field(description="How much there is to do; null while that is not known.")
    done: int
    counts: dict[str, int] = Field(description="By outcome.")
    error: str | None = Field(description="Why it failed.")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: JobRecord) -> JobView:
        """Return a job as the API shows it."""
        return cls.model_validate(job)


class JobResultView(View):
    """What a job did with one file."""

    outcome: str = Field(description="`added`, `renamed`, `replaced`, `missing`, `returned`, `removed` or `failed`.")
    path: str
    video_id: str | None
    detail: str = Field(description="The reason of a failure, or the former path of what was renamed.")


def build_router(jobs: Jobs) -> APIRouter:
    """Return the routes."""
    router = protected_router()
    missing = errors(ErrorCode.CONTENT_NOT_FOUND)
    path = "/api/admin/jobs/{job_id}"

    @router.get("/api/admin/jobs")
    async def list_jobs(admin: CurrentAdmin, page: Annotated[Paging, Depends(paging)]) -> Page[JobView]:  # noqa: ARG001 - refuses others
        """List imports of trees and processings of all videos, the last first."""
        found, total = await jobs.page(offset=page.offset, limit=page.page_size)
        return Page(items=[JobView.of(job) for job in found], page=page.page, page_size=page.page_size, total=total)

    @router.get(path, responses=missing)
    async def get_job(job_id: str, admin: CurrentAdmin) -> JobView:  # noqa: ARG001 - refuses others
        """Return one job with its progress."""
        return JobView.of(await jobs.get(job_id))

    @router.get(path + "/results", responses=missing)
    async def get_job_results(
        job_id: str,
        admin: CurrentAdmin,  # noqa: ARG001 - refuses others
        page: Annotated[Paging, Depends(paging)],
        outcome: Annotated[str | None, Query(pattern="^[a-z]{1,20}$")] = None,
    ) -> Page[JobResultView]:
        """List what a job did, file by file; what stayed as it was is not in it."""
        found, total = await jobs.results(job_id, outcome, offset=page.offset, limit=page.page_size)
        items = [JobResultView.model_validate(each) for each in found]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.post(path + "/stop", responses=missing)
    async def stop_job(job_id: str, admin: CurrentAdmin) -> JobView:  # noqa: ARG001 - refuses others
        """Stop a job after the step in hand; what it has done stays."""
        return JobView.of(await jobs.stop(job_id))

    @router.post(path + "/resume", responses=missing)
    async def resume_job(job_id: str, admin: CurrentAdmin) -> JobView:  # noqa: ARG001 - refuses others
        """Let a job that was stopped or failed go on where it ended."""
        return JobView.of(await jobs.resume(job_id))

    return router
