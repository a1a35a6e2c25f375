"""HTTP API of catalog: translates, decides nothing."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.types import Scope

from kit.auth.authentication import ActingAdmin, ClientAddress, CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.media import MediaStore
from kit.web.schemas import Page, Paging, errors, paging
from services.catalog.changes import Changes
from services.catalog.domain import SORTS, home_of_upload, may_upload
from services.catalog.imports import Imports
from services.catalog.schemas import (
    EditRequest,
    HealthView,
    ImportRequest,
    ProcessingView,
    TrashedVideoView,
    VideoDetailView,
    VideoView,
)
from services.catalog.service import HealthOverview, Videos
from services.catalog.uploads import receive

Sort = StrEnum("Sort", {name: name for name in SORTS})  # type: ignore[misc]
NEWEST_FIRST = Sort("-created_at")

_UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "title": {"type": "string", "maxLength": 200, "description": "The file's name by default."},
                        "description": {"type": "string", "maxLength": 5000},
                        "tags": {"type": "string", "description": "Separated by commas."},
                        "corporation_id": {"type": "string", "format": "uuid"},
                        "protection": {"type": "string", "enum": ["none"]},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


def max_body_bytes(scope: Scope) -> int | None:
    """Uploads have a limit of their own, everything else is small."""
    return None if (scope["method"], scope["path"]) == ("POST", "/api/videos") else 1 << 20


def build_routers(
    videos: Videos,
    changes: Changes,
    imports: Imports,
    overview: HealthOverview,
    store: MediaStore,
    *,
    uploads: Literal["admin", "members"],
    upload_max_bytes: int,
) -> dict[str, APIRouter]:
    """The routes of catalog, by tag."""
    return {
        "videos": _videos_router(videos, store, uploads, upload_max_bytes),
        "changes": _changes_router(changes),
        "imports": _imports_router(imports),
        "health": _health_router(overview),
    }


def _videos_router(
    videos: Videos, store: MediaStore, uploads: Literal["admin", "members"], upload_max_bytes: int
) -> APIRouter:
    router = protected_router()

    @router.get("/api/videos")
    async def list_videos(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        query: Annotated[str, Query(max_length=1000, description="Words of a title, or parts of them.")] = "",
        sort: Annotated[Sort, Query()] = NEWEST_FIRST,
    ) -> Page[VideoView]:
        """What there is to watch. Members see what is ready and their own uploads, administrators everything."""
        found, total = await videos.page(caller, query=query, sort=sort.value, offset=page.offset, limit=page.page_size)
        items = [VideoView.of(video) for video in found]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.post(
        "/api/videos",
        status_code=201,
        openapi_extra=_UPLOAD_BODY,
        responses=errors(
            ErrorCode.UPLOAD_INVALID_MEDIA,
            ErrorCode.UPLOAD_TOO_LARGE,
            ErrorCode.STORAGE_FULL,
            ErrorCode.STREAM_FILE_UNAVAILABLE,
        ),
    )
    async def upload_video(request: Request, caller: CurrentCaller) -> VideoDetailView:
        """Takes a video in. It is `processing` until its facts and thumbnail are made, then `ready` or `failed`.

        Members upload into their own corporation; administrators say with `corporation_id` whose it is, if anybody's.
        """
        if not may_upload(caller, uploads):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        async with receive(request.headers, request.stream(), store, upload_max_bytes) as upload:
            try:
                home = home_of_upload(caller, upload.corporation_id)
            except PermissionError as error:
                raise ApiError(ErrorCode.AUTH_FORBIDDEN) from error
            return VideoDetailView.of(await videos.add(replace(upload, corporation_id=home), caller.user_id))

    @router.post("/api/videos/process")
    async def process_all(admin: ActingAdmin) -> ProcessingView:
        """Has facts and artwork of every video made again, also of those that failed but kept their file."""
        return ProcessingView(requested=await videos.request_processing(admin))

    @router.get("/api/videos/{video_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_DELETED))
    async def get_video(video_id: str, caller: CurrentCaller) -> VideoDetailView:
        """One video with its technical facts."""
        return VideoDetailView.of(await videos.get(video_id, caller))

    @router.get(
        "/api/videos/{video_id}/thumbnail",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}}, "description": "A JPEG, 320 pixels wide."},
            304: {"description": "The caller has it already."},
            **errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_DELETED, ErrorCode.STREAM_FILE_UNAVAILABLE),
        },
    )
    async def get_thumbnail(video_id: str, request: Request, caller: CurrentCaller) -> Response:
        """A video's thumbnail."""
        artwork = await videos.thumbnail(video_id, caller)
        headers = {
            "ETag": f'"{artwork.id}-{int(artwork.created_at.timestamp() * 1000)}"',
            # The next user of this browser may not see it: a cache asks each time, and costs no picture.
            "Cache-Control": "private, no-cache",
            "Vary": "Authorization, Cookie",
        }
        known = request.headers.get("If-None-Match", "")
        if headers["ETag"] in known or known.strip() == "*":
            return Response(status_code=304, headers=headers)
        return Response(await videos.read_artwork(artwork), media_type="image/jpeg", headers=headers)

    return router


def _changes_router(changes: Changes) -> APIRouter:
    router = protected_router()

    @router.patch(
        "/api/videos/{video_id}",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE),
    )
    async def edit_video(
        video_id: str, wanted: EditRequest, caller: CurrentCaller, address: ClientAddress
    ) -> VideoDetailView:
        """Describes a video anew: for its uploader and administrators. Only these move it, with `corporation_id`."""
        return VideoDetailView.of(await changes.edit(video_id, wanted.edit(), caller, address))

    @router.delete("/api/videos/{video_id}", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def delete_video(video_id: str, caller: CurrentCaller, address: ClientAddress) -> None:
        """Puts a video into the trash: for its uploader and administrators."""
        await changes.delete(video_id, caller, address)

    @router.post(
        "/api/videos/{video_id}/process",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.UPLOAD_INVALID_MEDIA),
    )
    async def process_video(video_id: str, caller: CurrentCaller, address: ClientAddress) -> VideoDetailView:
        """Has facts and artwork of one video made again: for its uploader and administrators.

        A failed video is `processing` again. One whose file was removed, because it can never be played, is refused.
        """
        return VideoDetailView.of(await changes.reprocess(video_id, caller, address))

    @router.post(
        "/api/videos/{video_id}/restore",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.PLAN_REQUIRED, ErrorCode.SERVICE_UNAVAILABLE),
    )
    async def restore_video(video_id: str, caller: CurrentCaller, address: ClientAddress) -> VideoDetailView:
        """Takes a video out of the trash.

        Administrators may always; the uploader when it is their corporation's, and that one is on a paid plan.
        """
        return VideoDetailView.of(await changes.restore(video_id, caller, address))

    @router.get("/api/trash")
    async def trash(caller: CurrentCaller, page: Annotated[Paging, Depends(paging)]) -> Page[TrashedVideoView]:
        """What was deleted, the last first: the caller's own uploads, for administrators everything."""
        found, total = await changes.trash(caller, offset=page.offset, limit=page.page_size)
        items = [TrashedVideoView.of(video) for video in found]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    return router


def _imports_router(imports: Imports) -> APIRouter:
    router = protected_router()

    @router.post("/api/imports", status_code=201, responses=errors(ErrorCode.UPLOAD_CONFLICT))
    async def import_video(wanted: ImportRequest, admin: ActingAdmin) -> VideoDetailView:
        """Registers a film where it lies, without copying it. It is processed like an upload.

        A `location` that can't be read or served is a VALIDATION_FAILED that says why; one that is a video already, an
        UPLOAD_CONFLICT with its `video_id`.
        """
        return VideoDetailView.of(await imports.add(wanted.import_(), admin))

    return router


def _health_router(overview: HealthOverview) -> APIRouter:
    router = APIRouter()

    @router.get("/api/health", responses={503: {"model": HealthView, "description": "A service does not answer."}})
    async def health(response: Response) -> HealthView:
        """How the platform is: `degraded` while something is away that nobody has to wait for."""
        seen = await overview.look()
        if seen.status == "unhealthy":
            response.status_code = 503
        return HealthView(status=seen.status, services=seen.services, dependencies=seen.dependencies)

    return router
