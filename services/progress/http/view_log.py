"""Routes of the view log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from kit.auth.authentication import CurrentAdmin, protected_router
from kit.web.schemas import Cursor, CursorPage, Paging, paging
from services.progress.domain import ViewFilter
from services.progress.http.spreadsheet import BYTE_ORDER_MARK, csv_lines
from services.progress.schemas import LoggedViewView
from services.progress.service import ViewLog


class Format(StrEnum):
    """The format of the response."""

    JSON = "json"
    CSV = "csv"


async def view_filter(
    user_id: Annotated[str | None, Query(max_length=36, description="Only this user's.")] = None,
    video_id: Annotated[str | None, Query(max_length=36, description="Only of this video.")] = None,
    begin: Annotated[
        AwareDatetime | None, Query(alias="from", description="Only sessions that began at this moment or later.")
    ] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to", description="Only sessions that began before.")] = None,
) -> ViewFilter:
    """Return the conditions in the query."""
    return ViewFilter(user_id, video_id, begin, end)


def view_log_router(view_log: ViewLog) -> APIRouter:
    """Return the routes of the view log."""
    router = protected_router()

    @router.get(
        "/api/admin/views",
        response_model=CursorPage[LoggedViewView],
        responses={200: {"content": {"text/csv": {}}, "description": "A page; with `format=csv` everything."}},
    )
    async def read(
        admin: CurrentAdmin,  # noqa: ARG001 - requires an administrator
        wanted: Annotated[ViewFilter, Depends(view_filter)],
        page: Annotated[Paging, Depends(paging)],
        answer_as: Annotated[
            Format, Query(alias="format", description="`csv`: all matching sessions as a file, without pages.")
        ] = Format.JSON,
        cursor: Cursor = None,
    ) -> CursorPage[LoggedViewView] | StreamingResponse:
        """List who watched what: one line per play session, newest first; `total` counts up to 10000."""
        if answer_as is Format.CSV:
            headers = {"Content-Disposition": 'attachment; filename="views.csv"'}
            return StreamingResponse(_csv(view_log, wanted), media_type="text/csv", headers=headers)
        views, total, following = await view_log.page(wanted, offset=page.offset, limit=page.page_size, cursor=cursor)
        items = [LoggedViewView.of(view) for view in views]
        return CursorPage(items=items, page=page.page, page_size=page.page_size, total=total, next_cursor=following)

    return router


async def _csv(view_log: ViewLog, wanted: ViewFilter) -> AsyncIterator[str]:
    yield BYTE_ORDER_MARK + csv_lines([list(LoggedViewView.model_fields)])
    async for views in view_log.all(wanted):
        yield csv_lines(LoggedViewView.of(view).cells() for view in views)
