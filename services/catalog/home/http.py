"""Routes of the home page and of recommendations."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from kit.auth.authentication import CurrentCaller, protected_router
from kit.encoded_json import Encoded, encode, extend
from kit.errors import ErrorCode
from kit.errors.api_error import prefers_korean
from kit.web.conditional import EncodedResponse
from kit.web.schemas import View, errors
from services.catalog.home.domain import Reason, RowKind, title_of
from services.catalog.home.service import MAX_SHARED_SEC, HomePage, Item, Row
from services.catalog.schemas import VideoView
from services.catalog.service.answers import Answers

AcceptLanguage = Annotated[str, Header(alias="Accept-Language", include_in_schema=False)]


class HomeItemView(VideoView):
    """A film in a row, with how far the caller has come."""

    position_sec: float | None = Field(description="null when the caller never watched it, like the two below.")
    progress_percent: int | None
    completed: bool | None


class RowView(View):
    """A row of the home page."""

    kind: RowKind
    key: str = Field(description="Tells rows of one kind apart: a tag, or the id of a series or a video; else empty.")
    label: str = Field(description="The name of that: the tag, or the title of the series or video; else empty.")
    title: str = Field(description="By `Accept-Language`.")
    items: list[HomeItemView]
    next: str | None = Field(description="The path of the next page of this row; null when there is none.")


class HomeView(View):
    """The home page."""

    rows: list[RowView] = Field(description="In the order of MARQUEE_HOME_ROWS, without empty ones.")


class RecommendationView(VideoView):
    """A film to watch next, and why."""

    reason: Reason


class RecommendationsView(View):
    """What to watch after a film."""

    items: list[RecommendationView]


def build_router(page: HomePage, answers: Answers) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/home", response_model=HomeView)
    async def get_home(caller: CurrentCaller, accept_language: AcceptLanguage = "") -> Response:
        """Return the rows of the caller's home page. While progress is away, the rows that need it are absent."""
        viewer = await page.viewer(caller)

        async def make() -> Encoded:
            return encode({"rows": [_encode_row(row, accept_language) for row in await page.home(caller, viewer)]})

        # The records of a viewer are many; their digest stands for them.
        key = ("home", prefers_korean(accept_language), hashlib.sha256(repr(viewer).encode()).digest())
        return EncodedResponse(await answers.for_reach(caller, key, make))

    @router.get("/api/home/rows/{kind}", response_model=RowView)
    async def get_row(
        kind: RowKind,
        caller: CurrentCaller,
        key: Annotated[str, Query(max_length=100)] = "",
        after: Annotated[str, Query(max_length=100, description="From `next` of the page before.")] = "",
        accept_language: AcceptLanguage = "",
    ) -> Response:
        """Return a page of one row, which may be empty."""
        return EncodedResponse(_encode_row(await page.row(caller, kind, key, after), accept_language))

    @router.get(
        "/api/videos/{video_id}/recommendations",
        response_model=RecommendationsView,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND),
    )
    async def get_recommendations(video_id: str, caller: CurrentCaller) -> Response:
        """Return what to watch after a film: its next episodes, what its viewers watched too, what shares its tags."""

        async def make() -> Encoded:
            found = await page.recommendations(video_id, caller)
            return encode({"items": [extend(card, {"reason": reason}) for card, reason in found]})

        key = ("recommendations", video_id)
        return EncodedResponse(await answers.for_caller(caller, key, make, seconds=MAX_SHARED_SEC))

    return router


def _encode_row(row: Row, accept_language: str) -> Encoded:
    """Return a row in the shape of `RowView`."""
    row_ = row.candidates
    query = urlencode({name: value for name, value in (("key", row_.key), ("after", row_.next)) if value})
    return encode(
        {
            "kind": row_.kind,
            "key": row_.key,
            "label": row_.label,
            "title": title_of(row_.kind, row_.label, is_korean=prefers_korean(accept_language)),
            "items": [_encode_item(item) for item in row.items],
            "next": f"/api/home/rows/{row_.kind}?{query}" if row_.next else None,
        }
    )


def _encode_item(item: Item) -> Encoded:
    """Return a film of a row in the shape of `HomeItemView`."""
    record = item.record
    if record is None:
        return extend(item.card, _NEVER_WATCHED)
    how_far = {"position_sec": record.position_sec, "progress_percent": record.percent, "completed": record.completed}
    return extend(item.card, how_far)


_NEVER_WATCHED: Final = encode({"position_sec": None, "progress_percent": None, "completed": None})
