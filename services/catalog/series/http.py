"""Routes of series."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from kit.auth.authentication import ClientAddress, CurrentCaller, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Page, Paging, errors, paging
from services.catalog.series.schemas import EpisodePlaceView, SeriesDetailView, SeriesEdit, SeriesRequest, SeriesView
from services.catalog.series.service import SeriesLibrary

MISSING = errors(ErrorCode.CONTENT_NOT_FOUND)


class SeriesSort(StrEnum):
    """Orders of the list of series."""

    NEWEST = "-created_at"
    TITLE = "title"
    TITLE_BACKWARDS = "-title"


def build_router(library: SeriesLibrary) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/series")
    async def list_series(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        sort: Annotated[SeriesSort, Query()] = SeriesSort.NEWEST,
    ) -> Page[SeriesView]:
        """List series: those with a film that the caller may see, the caller's own, for administrators all."""
        rows, total = await library.page(caller, sort=sort.value, offset=page.offset, limit=page.page_size)
        items = [SeriesView.of(row) for row in rows]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.post("/api/series", status_code=201)
    async def add_series(body: SeriesRequest, caller: CurrentCaller) -> SeriesDetailView:
        """Make a series: for those who may upload. Films join it by `PATCH /api/videos/{id}`."""
        return SeriesDetailView.of_detail(await library.add(body.labels(), caller))

    @router.get("/api/series/{series_id}", responses=MISSING)
    async def get_series(series_id: str, caller: CurrentCaller) -> SeriesDetailView:
        """Return a series with its seasons and episodes in order."""
        return SeriesDetailView.of_detail(await library.get(series_id, caller))

    @router.patch("/api/series/{series_id}", responses=MISSING)
    async def edit_series(
        series_id: str, body: SeriesEdit, caller: CurrentCaller, address: ClientAddress
    ) -> SeriesDetailView:
        """Change the labels of a series: for its owner and administrators."""
        return SeriesDetailView.of_detail(await library.edit(series_id, body.labels(), caller, address))

    @router.delete("/api/series/{series_id}", status_code=204, responses=MISSING)
    async def delete_series(series_id: str, caller: CurrentCaller, address: ClientAddress) -> None:
        """Delete a series: for its owner and administrators. Its films stay."""
        await library.delete(series_id, caller, address)

    @router.get("/api/videos/{video_id}/series", responses=MISSING)
    async def get_place(video_id: str, caller: CurrentCaller) -> EpisodePlaceView:
        """Return where a film stands in its series, with what comes before and after it."""
        return EpisodePlaceView.of(await library.place_of(video_id, caller))

    return router
