"""Routes of watch progress and history."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from kit.auth.authentication import CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from kit.web.schemas import Page, Paging, errors, paging
from services.progress.models import WatchProgress
from services.progress.schemas import HistoryEntry, PositionUpdate, ProgressReport, ProgressView, Saved
from services.progress.service import History, Recorder

NO_CONTENT = 204
NEVER_WATCHED: dict[int | str, dict[str, Any]] = {NO_CONTENT: {"description": "The caller never watched it."}}


# Asynchronous, like every dependency here: FastAPI calls others in a thread, which takes longer than they do.
async def video_id_of(video_id: str) -> str:
    """Return the video id in the path.

    Raises:
        ApiError: CONTENT_NOT_FOUND when it is no valid id.
    """
    if not is_id(video_id):
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return video_id


async def query_video_id(video_id: Annotated[str | None, Query(description="Only this video.")] = None) -> str | None:
    """Return the video id in the query, if any; raise the errors of `video_id_of`."""
    return await video_id_of(video_id) if video_id is not None else None


VideoId = Annotated[str, Depends(video_id_of)]
QueryVideoId = Annotated[str | None, Depends(query_video_id)]


def _view(record: WatchProgress) -> ProgressView:
    return ProgressView(
        content_id=record.video_id,
        video_id=record.video_id,
        position=record.position_sec,
        duration=record.duration_sec,
        progress_percent=record.progress.percent,
        completed=record.completed,
        updated_at=record.updated_at,
    )


def progress_router(recorder: Recorder, history: History) -> APIRouter:
    """Return the routes of positions."""
    router = protected_router()
    refusals = errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_NOT_READY, ErrorCode.SERVICE_UNAVAILABLE)

    @router.put("/api/progress/{video_id}", responses=refusals)
    async def report(video_id: VideoId, body: ProgressReport, caller: CurrentCaller) -> Saved:
        """Report where the player is. A late report, or one without a position, changes nothing and is no error."""
        progress = await recorder.record(caller, video_id, body.to_report())
        return Saved(progress_percent=progress.percent if progress else 0)

    @router.get(
        "/api/progress/{video_id}",
        response_model=ProgressView,
        responses={**errors(ErrorCode.CONTENT_NOT_FOUND), **NEVER_WATCHED},
    )
    async def read(video_id: VideoId, caller: CurrentCaller) -> ProgressView | Response:
        """Return how far the caller has come."""
        record = await history.record(caller.user_id, video_id)
        return _view(record) if record else Response(status_code=NO_CONTENT)

    @router.post("/api/videos/{video_id}/progress", status_code=204, responses=refusals)
    async def set_position(video_id: VideoId, body: PositionUpdate, caller: CurrentCaller) -> None:
        """Set where the caller will continue, or mark a video as watched or unwatched."""
        await recorder.record(caller, video_id, body.to_report())

    return router


def history_router(history: History) -> APIRouter:
    """Return the routes of the caller's history."""
    router = protected_router()

    @router.get(
        "/api/users/me/history",
        response_model=Page[HistoryEntry] | HistoryEntry,
        responses={**errors(ErrorCode.CONTENT_NOT_FOUND), **NEVER_WATCHED},
    )
    async def read(
        caller: CurrentCaller, page: Annotated[Paging, Depends(paging)], video_id: QueryVideoId
    ) -> Page[HistoryEntry] | HistoryEntry | Response:
        """List what the caller has watched, newest first; with `video_id`, return that video's line only."""
        if video_id is not None:
            entry = await history.entry(caller, video_id)
            return HistoryEntry.of(entry) if entry else Response(status_code=NO_CONTENT)
        entries, total = await history.page(caller, offset=page.offset, limit=page.page_size)
        items = [HistoryEntry.of(entry) for entry in entries]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.delete("/api/users/me/history", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def erase(caller: CurrentCaller, video_id: QueryVideoId) -> None:
        """Delete the caller's history, or one video of it."""
        await history.erase(caller.user_id, video_id)

    return router
