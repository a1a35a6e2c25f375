"""Routes of the home page and of recommendations."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query
from pydantic import Field

from kit.auth.authentication import CurrentCaller, protected_router
from kit.errors import ErrorCode
from kit.errors.api_error import prefers_korean
from kit.web.schemas import View, errors
from services.catalog.home.domain import Reason, RowKind, title_of
from services.catalog.home.service import HomePage, Item, Row
from services.catalog.schemas import VideoView, list_fields

AcceptLanguage = Annotated[str, Header(alias="Accept-Language", include_in_schema=False)]


class HomeItemView(VideoView):
    """A film in a row, with how far the caller has come."""

    position_sec: float | None = Field(description="null when the caller never watched it, like the two below.")
    progress_percent: int | None
    completed: bool | None

    @classmethod
    def of_item(cls, item: Item) -> HomeItemView:
        """Return a film of a row as the API shows it."""
        record = item.record
        return cls(
            **list_fields(item.video),
            position_sec=record.position_sec if record else None,
            progress_percent=record.percent if record else None,
            completed=record.completed if record else None,
        )


class RowView(View):
    """A row of the home page."""

    kind: RowKind
    key: str = Field(description="Tells rows of one kind apart: a tag, or the id of a series or a video; else empty.")
    label: str = Field(description="The name of that: the tag, or the title of the series or video; else empty.")
    title: str = Field(description="By `Accept-Language`.")
    items: list[HomeItemView]
    next: str | None = Field(description="The path of the next page of this row; null when there is none.")

    @classmethod
    def of(cls, row: Row, accept_language: str) -> RowView:
        """Return a row as the API shows it."""
        row_ = row.candidates
        query = urlencode({name: value for name, value in (("key", row_.key), ("after", row_.next)) if value})
        return cls(
            kind=row_.kind,
            key=row_.key,
            label=row_.label,
            title=title_of(row_.kind, row_.label, is_korean=prefers_korean(accept_language)),
            items=[HomeItemView.of_item(item) for item in row.items],
            next=f"/api/home/rows/{row_.kind}?{query}" if row_.next else None,
        )


class HomeView(View):
    """The home page."""

    rows: list[RowView] = Field(description="In the order of MARQUEE_HOME_ROWS, without empty ones.")


class RecommendationView(VideoView):
    """A film to watch next, and why."""

    reason: Reason


class RecommendationsView(View):
    """What to watch after a film."""

    items: list[RecommendationView]


def build_router(page: HomePage) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/home")
    async def get_home(caller: CurrentCaller, accept_language: AcceptLanguage = "") -> HomeView:
        """Return the rows of the caller's home page. While progress is away, the rows that need it are absent."""
        return HomeView(rows=[RowView.of(row, accept_language) for row in await page.home(caller)])

    @router.get("/api/home/rows/{kind}")
    async def get_row(
        kind: RowKind,
        caller: CurrentCaller,
        key: Annotated[str, Query(max_length=100)] = "",
        after: Annotated[str, Query(max_length=100, description="From `next` of the page before.")] = "",
        accept_language: AcceptLanguage = "",
    ) -> RowView:
        """Return a page of one row, which may be empty."""
        return RowView.of(await page.row(caller, kind, key, after), accept_language)

    @router.get("/api/videos/{video_id}/recommendations", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def get_recommendations(video_id: str, caller: CurrentCaller) -> RecommendationsView:
        """Return what to watch after a film: its next episodes, what its viewers watched too, what shares its tags."""
        found = await page.recommendations(video_id, caller)
        items = [RecommendationView(**list_fields(video), reason=reason) for video, reason in found]
        return RecommendationsView(items=items)

    return router
