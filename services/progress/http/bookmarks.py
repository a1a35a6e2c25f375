"""Routes of the caller's bookmarks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import CurrentCaller, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Page, Paging, errors, paging
from services.progress.http.watching import QueryVideoId
from services.progress.schemas import BookmarkEdit, BookmarkRequest, BookmarkView
from services.progress.service import Bookmarks


def bookmarks_router(bookmarks: Bookmarks) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/users/me/bookmarks", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def list_bookmarks(
        caller: CurrentCaller, page: Annotated[Paging, Depends(paging)], video_id: QueryVideoId
    ) -> Page[BookmarkView]:
        """List the caller's bookmarks, newest first; with `video_id`, those of one video by position."""
        places, total = await bookmarks.page(caller, video_id, offset=page.offset, limit=page.page_size)
        items = [BookmarkView.of(place) for place in places]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.post(
        "/api/users/me/bookmarks",
        status_code=201,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE),
    )
    async def add_bookmark(body: BookmarkRequest, caller: CurrentCaller) -> BookmarkView:
        """Mark a place in a video."""
        return BookmarkView.of(await bookmarks.add(caller, str(body.video_id), body.position_sec, body.note))

    @router.patch("/api/users/me/bookmarks/{bookmark_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def edit_bookmark(bookmark_id: str, body: BookmarkEdit, caller: CurrentCaller) -> BookmarkView:
        """Move a bookmark, or change its note."""
        place = await bookmarks.edit(caller, bookmark_id, position_sec=body.position_sec, note=body.note)
        return BookmarkView.of(place)

    @router.delete("/api/users/me/bookmarks/{bookmark_id}", status_code=204)
    async def delete_bookmark(bookmark_id: str, caller: CurrentCaller) -> None:
        """Remove a bookmark."""
        await bookmarks.delete(caller, bookmark_id)

    return router
