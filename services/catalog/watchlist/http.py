"""Routes of the caller's watchlist."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from kit.auth.authentication import CurrentCaller, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Page, Paging, View, errors, paging
from services.catalog.schemas import VideoView
from services.catalog.watchlist.service import Watchlists


class WatchlistEntryView(View):
    """A film on the caller's list."""

    video_id: str
    added_at: datetime


class ListedEntryView(WatchlistEntryView):
    """A film on the caller's list, with what lists show of it."""

    video: VideoView


def build_router(watchlists: Watchlists) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/users/me/watchlist")
    async def list_watchlist(caller: CurrentCaller, page: Annotated[Paging, Depends(paging)]) -> Page[ListedEntryView]:
        """List what the caller wants to watch later, the last added first."""
        rows, total = await watchlists.page(caller, offset=page.offset, limit=page.page_size)
        items = [
            ListedEntryView(video_id=video.id, added_at=added_at, video=VideoView.of(video)) for video, added_at in rows
        ]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.get(
        "/api/users/me/watchlist/{video_id}",
        response_model=WatchlistEntryView,
        responses={204: {"description": "It is not on the list."}},
    )
    async def get_entry(video_id: str, caller: CurrentCaller) -> WatchlistEntryView | Response:
        """Return whether a film is on the caller's list."""
        added_at = await watchlists.added_at(video_id, caller)
        return WatchlistEntryView(video_id=video_id, added_at=added_at) if added_at else Response(status_code=204)

    @router.put("/api/users/me/watchlist/{video_id}", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def add_entry(video_id: str, caller: CurrentCaller) -> None:
        """Put a film on the caller's list."""
        await watchlists.add(video_id, caller)

    @router.delete("/api/users/me/watchlist/{video_id}", status_code=204)
    async def delete_entry(video_id: str, caller: CurrentCaller) -> None:
        """Take a film off the caller's list."""
        await watchlists.remove(video_id, caller)

    return router
