"""Routes of videos: list, upload, show, process."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from kit.auth.authentication import ActingAdmin, CurrentCaller, protected_router
from kit.encoded_json import Encoded, encode
from kit.errors import ApiError, ErrorCode
from kit.media_store import WritableStore
from kit.web.conditional import conditional_json
from kit.web.schemas import Cursor, CursorPage, Paging, errors, paging
from services.catalog.domain import SORTS, ProcessingKind, may_upload, owner_of_upload
from services.catalog.http.jobs import JobView
from services.catalog.http.list_criteria import list_criteria
from services.catalog.http.multipart_upload import MAX_ENVELOPE_BYTES, receive
from services.catalog.listing.criteria import Criteria
from services.catalog.schemas import VideoDetailView, VideoView
from services.catalog.service import Admission, Videos
from services.catalog.service.answers import Answers
from services.catalog.service.jobs import Jobs

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
                        "protection": {"type": "string", "enum": ["none", "lsv"]},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


class ProcessingView(JobView):
    """A job that has videos processed again."""

    requested: int = Field(description="How many videos.")


def build_router(
    videos: Videos,
    jobs: Jobs,
    store: WritableStore,
    admission: Admission,
    answers: Answers,
    uploads: Literal["admin", "members"],
) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get(
        "/api/videos",
        response_model=CursorPage[VideoView],
        responses={304: {"description": "The caller has this page."}},
    )
    async def list_videos(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        criteria: Annotated[Criteria, Depends(list_criteria)],
        request: Request,
        sort: Annotated[Sort, Query()] = NEWEST_FIRST,
        cursor: Cursor = None,
    ) -> Response:
        """List videos. Members see what is ready and their own uploads, administrators everything.

        `next_cursor` leads through a list of any length at the same cost a page; `total` counts up to 10000.
        """

        async def make() -> Encoded:
            items, total, next_cursor = await videos.page(
                caller, criteria, sort=sort.value, offset=page.offset, limit=page.page_size, cursor=cursor
            )
            paged = {"page": page.page, "page_size": page.page_size, "total": total, "next_cursor": next_cursor}
            return encode({"items": items, **paged})

        key = ("videos", criteria, sort.value, page.page, page.page_size, cursor)
        return conditional_json(request, await answers.for_caller(caller, key, make))

    @router.post(
        "/api/videos",
        status_code=201,
        openapi_extra=_UPLOAD_BODY,
        responses=errors(
            ErrorCode.UPLOAD_INVALID_MEDIA,
            ErrorCode.UPLOAD_TOO_LARGE,
            ErrorCode.UPLOAD_QUOTA_EXCEEDED,
            ErrorCode.UPLOAD_CONFLICT,
            ErrorCode.STORAGE_FULL,
            ErrorCode.STREAM_FILE_UNAVAILABLE,
        ),
    )
    async def upload_video(request: Request, caller: CurrentCaller) -> VideoDetailView:
        """Upload a video. It is `processing` until its media info and thumbnail are made, then `ready` or `failed`.

        Members upload into their own corporation; administrators may name its owner with `corporation_id`.
        """
        if not may_upload(caller, uploads):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        own = None if caller.is_admin else caller.corporation_id or None
        await _check_announced(request, admission, own)
        async with receive(request.headers, request.stream(), store, admission.limits.max_bytes) as upload:
            try:
                owner = owner_of_upload(caller, upload.corporation_id)
            except PermissionError as error:
                raise ApiError(ErrorCode.AUTH_FORBIDDEN) from error
            await admission.check_quota(upload.size_bytes, owner)
            return VideoDetailView.of(await videos.add(replace(upload, corporation_id=owner), caller.user_id))

    @router.post("/api/videos/process", status_code=202)
    async def process_all(
        admin: ActingAdmin, kind: Annotated[list[ProcessingKind] | None, Query(description="Only these parts.")] = None
    ) -> ProcessingView:
        """Have media info and artwork of every video made again, also of those that failed but kept their file.

        The answer is the job that does it, some videos at a time: `GET /api/admin/jobs/{id}` shows how far it is.
        """
        job = await jobs.reprocess(list(dict.fromkeys(kind or ())), admin)
        return ProcessingView.model_validate(JobView.of(job).model_dump() | {"requested": job.total})

    @router.get("/api/videos/{video_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_DELETED))
    async def get_video(video_id: str, caller: CurrentCaller) -> VideoDetailView:
        """Return one video with its technical facts."""
        return VideoDetailView.of(await videos.get(video_id, caller), caller)

    return router


async def _check_announced(request: Request, admission: Admission, corporation_id: str | None) -> None:
    """Check the size that a client announces, before a byte of the body is read."""
    announced = request.headers.get("Content-Length", "")
    if announced.isascii() and announced.isdigit():
        # The file has at least so many bytes.
        size = max(0, int(announced) - MAX_ENVELOPE_BYTES)
        admission.check_size(size)
        await admission.check_quota(size, corporation_id)
        await admission.check_space(size)
