"""Routes of imports."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from kit.auth.authentication import ActingAdmin, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Schema, errors
from services.catalog.http.jobs import JobView
from services.catalog.schemas import ImportRequest, VideoDetailView
from services.catalog.service import Imports
from services.catalog.service.scans import Scans


class ScanRequest(Schema):
    """Which folder to scan, and how."""

    folder: str = Field("", max_length=2000, description="Below the folder of imported films; empty for all of it.")
    prune: bool = Field(default=False, description="Put the videos of missing files into the trash.")
    rescan: bool = Field(default=False, description="Process every film again, changed or not.")


def build_router(imports: Imports, scans: Scans) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.post("/api/imports", status_code=201, responses=errors(ErrorCode.UPLOAD_CONFLICT))
    async def import_video(film: ImportRequest, admin: ActingAdmin) -> VideoDetailView:
        """Register a film where it lies, without copying it. It is processed like an upload.

        A `location` that can't be read or served is a VALIDATION_FAILED that says why; one that is a video already, an
        UPLOAD_CONFLICT with its `video_id`.
        """
        return VideoDetailView.of(await imports.add(film.import_(), admin))

    @router.post("/api/imports/scans", status_code=202)
    async def scan_folder(scan: ScanRequest, admin: ActingAdmin) -> JobView:
        """Import a tree of films, or look again what has changed in it: new, renamed, replaced and missing files.

        The answer is the job that does it: `GET /api/admin/jobs/{id}` shows how far it is, and `…/results` its report.
        Subtitle files beside a film (`film.ko.srt`) are taken with it.
        """
        return JobView.of(await scans.start(scan.folder, admin, prune=scan.prune, rescan=scan.rescan))

    return router
