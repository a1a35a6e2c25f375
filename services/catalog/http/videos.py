"""Routes of videos: list, upload, show, process."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request

from kit.auth.authentication import ActingAdmin, CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.media import MediaStore
from kit.web.schemas import Page, Paging, errors, paging
from services.catalog.domain import SORTS, may_upload, owner_of_upload
from services.catalog.http.multipart_upload import receive
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

    @router.get("/api/videos")
    async def list_videos(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        query: Annotated[str, Query(max_length=1000, description="Words of a title, or parts of them.")] = "",
        sort: Annotated[Sort, Query()] = NEWEST_FIRST,
    ) -> Page[VideoView]:
        """List videos. Members see what is ready and their own uploads, administrators everything."""
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
        return VideoDetailView.of(await videos.get(video_id, caller), caller)

    return router
