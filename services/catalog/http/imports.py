"""Routes of imports."""

from __future__ import annotations

from fastapi import APIRouter

from kit.auth.authentication import ActingAdmin, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import errors
from services.catalog.schemas import ImportRequest, VideoDetailView
from services.catalog.service import Imports


def build_router(imports: Imports) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.post("/api/imports", status_code=201, responses=errors(ErrorCode.UPLOAD_CONFLICT))
    async def import_video(film: ImportRequest, admin: ActingAdmin) -> VideoDetailView:
        """Register a film where it lies, without copying it. It is processed like an upload.

        A `location` that can't be read or served is a VALIDATION_FAILED that says why; one that is a video already, an
        UPLOAD_CONFLICT with its `video_id`.
        """
        return VideoDetailView.of(await imports.add(film.import_(), admin))

    return router
