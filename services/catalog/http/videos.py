"""Routes of videos: list, upload, show, process, thumbnail."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from kit.auth.authentication import ActingAdmin, CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.media import MediaStore
from kit.web.conditional import conditional_json
from kit.web.schemas import Cursor, CursorPage, Paging, errors, paging
from services.catalog.domain import SORTS, may_upload, owner_of_upload
from services.catalog.http.list_criteria import list_criteria
from services.catalog.http.multipart_upload import receive
from services.catalog.listing.criteria import Criteria
from services.catalog.schemas import ProcessingView, VideoDetailView, VideoView
from services.catalog.service import Videos

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


def build_router(
    videos: Videos, store: MediaStore, uploads: Literal["admin", "members"], upload_max_bytes: int
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
        found, total, next_cursor = await videos.page(
            caller, criteria, sort=sort.value, offset=page.offset, limit=page.page_size, cursor=cursor
        )
        items = [VideoView.of(video) for video in found]
        listed = CursorPage[VideoView](
            items=items, page=page.page, page_size=page.page_size, total=total, next_cursor=next_cursor
        )
        return conditional_json(request, listed)

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
        """Upload a video. It is `processing` until its media info and thumbnail are made, then `ready` or `failed`.

        Members upload into their own corporation; administrators may name its owner with `corporation_id`.
        """
        if not may_upload(caller, uploads):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        async with receive(request.headers, request.stream(), store, upload_max_bytes) as upload:
            try:
                owner = owner_of_upload(caller, upload.corporation_id)
            except PermissionError as error:
                raise ApiError(ErrorCode.AUTH_FORBIDDEN) from error
            return VideoDetailView.of(await videos.add(replace(upload, corporation_id=owner), caller.user_id))

    @router.post("/api/videos/process")
    async def process_all(admin: ActingAdmin) -> ProcessingView:
        """Have media info and artwork of every video made again, also of those that failed but kept their file."""
        return ProcessingView(requested=await videos.request_processing(admin))

    @router.get("/api/videos/{video_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_DELETED))
    async def get_video(video_id: str, caller: CurrentCaller) -> VideoDetailView:
        """Return one video with its technical facts."""
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
        """Return a video's thumbnail."""
        artwork = await videos.thumbnail(video_id, caller)
        headers = {
            "ETag": f'"{artwork.id}-{int(artwork.created_at.timestamp() * 1000)}"',
            # The next user of this browser may not see it: a cache asks each time, and costs no picture.
            "Cache-Control": "private, no-cache",
            "Vary": "Authorization, Cookie",
        }
        if_none_match = request.headers.get("If-None-Match", "")
        if headers["ETag"] in if_none_match or if_none_match.strip() == "*":
            return Response(status_code=304, headers=headers)
        return Response(await videos.read_artwork(artwork), media_type="image/jpeg", headers=headers)

    return router
