"""Routes that change videos: edit, delete, process, restore, and the trash."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import ActingAdmin, ClientAddress, CurrentCaller, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Page, Paging, errors, paging
from services.catalog.schemas import EditRequest, TrashedVideoView, VideoDetailView
from services.catalog.service import VideoEditor
from services.catalog.service.protection import Protection


def build_router(editor: VideoEditor, protection: Protection) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.patch(
        "/api/videos/{video_id}",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE),
    )
    async def edit_video(
        video_id: str, edit: EditRequest, caller: CurrentCaller, address: ClientAddress
    ) -> VideoDetailView:
        """Change a video's labels: for its uploader and administrators. Only the latter can set `corporation_id`."""
        return VideoDetailView.of(await editor.edit(video_id, edit.edit(), caller, address))

    @router.delete("/api/videos/{video_id}", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def delete_video(video_id: str, caller: CurrentCaller, address: ClientAddress) -> None:
        """Put a video into the trash: for its uploader and administrators."""
        await editor.delete(video_id, caller, address)

    @router.post(
        "/api/videos/{video_id}/process",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.UPLOAD_INVALID_MEDIA, ErrorCode.CONTENT_SOURCE_REMOVED),
    )
    async def process_video(video_id: str, caller: CurrentCaller, address: ClientAddress) -> VideoDetailView:
        """Have media info and artwork of a video made again: for its uploader and administrators.

        A failed video is `processing` again. One whose file was removed, because it can never be played, is refused.
        """
        return VideoDetailView.of(await editor.reprocess(video_id, caller, address))

    @router.post(
        "/api/videos/{video_id}/protect",
        status_code=202,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.UPLOAD_INVALID_MEDIA),
    )
    async def protect_video(video_id: str, admin: ActingAdmin) -> VideoDetailView:
        """Have a film encrypted, for administrators. One that can be watched stays so until its pack is there.

        Its file is removed then, unless `MARQUEE_PROTECTED_SOURCE` keeps it or it was imported.
        """
        return VideoDetailView.of(await protection.protect(video_id, admin))

    @router.post(
        "/api/videos/{video_id}/rekey",
        status_code=202,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_NOT_READY),
    )
    async def rekey_video(video_id: str, admin: ActingAdmin) -> VideoDetailView:
        """Have a protected film encrypted again with another key, for administrators."""
        return VideoDetailView.of(await protection.rekey(video_id, admin))

    @router.post(
        "/api/videos/{video_id}/unprotect",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_NOT_READY, ErrorCode.CONTENT_SOURCE_REMOVED),
    )
    async def unprotect_video(video_id: str, admin: ActingAdmin) -> VideoDetailView:
        """Serve a film unprotected again, for administrators. Its file must be there: imported, or kept."""
        return VideoDetailView.of(await protection.unprotect(video_id, admin))

    @router.post(
        "/api/videos/{video_id}/restore",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.PLAN_REQUIRED, ErrorCode.SERVICE_UNAVAILABLE),
    )
    async def restore_video(video_id: str, caller: CurrentCaller, address: ClientAddress) -> VideoDetailView:
        """Take a video out of the trash.

        Administrators may always; the uploader when it is their corporation's, and the corporation is on a paid plan.
        """
        return VideoDetailView.of(await editor.restore(video_id, caller, address))

    @router.get("/api/trash")
    async def trash(caller: CurrentCaller, page: Annotated[Paging, Depends(paging)]) -> Page[TrashedVideoView]:
        """List what was deleted, the last first: the caller's own uploads, for administrators everything."""
        found, total = await editor.trash(caller, offset=page.offset, limit=page.page_size)
        items = [TrashedVideoView.of(video) for video in found]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    return router
