"""Routes of highlights."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from kit.auth.authentication import ClientAddress, CurrentCaller, protected_router
from kit.encoded_json import Encoded, encode
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.web.conditional import EncodedResponse
from kit.web.schemas import Page, Paging, errors, paging
from services.catalog.domain import Caller
from services.catalog.highlights.domain import MAX_CATEGORY_CHARS, MAX_KEY_CHARS
from services.catalog.highlights.formats import BYTE_ORDER_MARK, CsvError, from_csv, to_chapters, to_csv
from services.catalog.highlights.schemas import (
    HighlightEdit,
    HighlightList,
    HighlightRequest,
    HighlightsView,
    HighlightView,
    ListedHighlightView,
    encode_listed,
)
from services.catalog.highlights.service import Highlights, values_of
from services.catalog.service.answers import Answers

MISSING = errors(ErrorCode.CONTENT_NOT_FOUND)
_LIST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["items"],
                    "properties": {"items": {"type": "array", "items": HighlightRequest.model_json_schema()}},
                }
            },
            "text/csv": {
                "schema": {"type": "string"},
                "example": "start,end,category,title,players,pot_size\r\n12,95.5,bluff,,Ann;Bea,120000\r\n",
            },
        },
    }
}


class HighlightSort(StrEnum):
    """Orders of the list over all films."""

    POT = "-pot_size"
    NEWEST = "-created_at"


def build_router(highlights: Highlights, answers: Answers) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/highlights", response_model=Page[ListedHighlightView])
    async def list_highlights(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        category: Annotated[str, Query(max_length=MAX_CATEGORY_CHARS)] = "",
        player: Annotated[str, Query(max_length=MAX_KEY_CHARS, description="A whole name, in any case.")] = "",
        sort: Annotated[HighlightSort, Query()] = HighlightSort.POT,
    ) -> Response:
        """List the highlights of all films that the caller may watch: the biggest pots first, or the newest.

        `total` counts up to 10000.
        """
        key = ("highlights", category, player, sort.value, page.page, page.page_size)
        make = partial(_encode_page, highlights, caller, page, category=category, player=player, sort=sort.value)
        return EncodedResponse(await answers.for_reach(caller, key, make))

    @router.get(
        "/api/videos/{video_id}/highlights",
        response_model=HighlightsView,
        responses={200: {"content": {"text/csv": {}}, "description": "By their start."}, **MISSING},
    )
    async def get_highlights(
        video_id: str,
        caller: CurrentCaller,
        format: Annotated[Literal["json", "csv"], Query()] = "json",  # noqa: A002 - of the API
    ) -> HighlightsView | Response:
        """Return all highlights of a video by their start, as JSON or as a CSV file."""
        rows = await highlights.of_video(video_id, caller)
        if format == "json":
            return HighlightsView(items=[HighlightView.of(row) for row in rows])
        return Response(
            BYTE_ORDER_MARK + to_csv(map(values_of, rows)),
            media_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="highlights.csv"'},
        )

    @router.post("/api/videos/{video_id}/highlights", status_code=201, responses=MISSING)
    async def add_highlight(
        video_id: str, body: HighlightRequest, caller: CurrentCaller, address: ClientAddress
    ) -> HighlightView:
        """Add a highlight: for the video's uploader and administrators."""
        return HighlightView.of(await highlights.add(video_id, body.values(), caller, address))

    @router.put("/api/videos/{video_id}/highlights", openapi_extra=_LIST_BODY, responses=MISSING)
    async def replace_highlights(
        video_id: str, request: Request, caller: CurrentCaller, address: ClientAddress
    ) -> HighlightsView:
        """Replace all highlights of a video: for its uploader and administrators.

        The body is JSON or a CSV file is like the one that `?format=csv` gives; players are separated by semicolons.
        """
        rows = _parse(await request.body(), request.headers.get("Content-Type", ""))
        made = await highlights.replace(video_id, [row.values() for row in rows.items], caller, address)
        return HighlightsView(items=[HighlightView.of(row) for row in made])

    @router.patch("/api/highlights/{highlight_id}", responses=MISSING)
    async def edit_highlight(
        highlight_id: str, body: HighlightEdit, caller: CurrentCaller, address: ClientAddress
    ) -> HighlightView:
        """Change a highlight: for the video's uploader and administrators."""
        changed = await highlights.edit(highlight_id, body.values(), body.given(), caller, address)
        return HighlightView.of(changed)

    @router.delete("/api/highlights/{highlight_id}", status_code=204, responses=MISSING)
    async def delete_highlight(highlight_id: str, caller: CurrentCaller, address: ClientAddress) -> None:
        """Remove a highlight: for the video's uploader and administrators."""
        await highlights.delete(highlight_id, caller, address)

    @router.get(
        "/api/videos/{video_id}/chapters.vtt",
        response_class=Response,
        responses={
            200: {"content": {"text/vtt": {}}, "description": "WebVTT chapters."},
            304: {"description": "The caller has it already."},
            **MISSING,
        },
    )
    async def get_chapters(video_id: str, request: Request, caller: CurrentCaller) -> Response:
        """Return the highlights of a video as WebVTT chapters, for the seek bar of a player."""
        text = to_chapters([values_of(row) for row in await highlights.of_video(video_id, caller)])
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
        if etag in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(text, media_type="text/vtt", headers=headers)

    return router


async def _encode_page(
    highlights: Highlights, caller: Caller, page: Paging, *, category: str, player: str, sort: str
) -> Encoded:
    """Return a page in the shape of `Page[ListedHighlightView]`."""
    rows, total = await highlights.page(
        caller, category=category, player=player, sort=sort, offset=page.offset, limit=page.page_size
    )
    items = [encode_listed(highlight, card) for highlight, card in rows]
    return encode({"items": items, "page": page.page, "page_size": page.page_size, "total": total})


def _parse(body: bytes, content_type: str) -> HighlightList:
    """Return the highlights of a body. Raises ApiError: VALIDATION_FAILED, which names the row."""
    try:
        if content_type.partition(";")[0].strip().lower() == "text/csv":
            return HighlightList.model_validate({"items": from_csv(body.decode())})
        return HighlightList.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise invalid_field(".".join(map(str, first["loc"])), first["msg"]) from error
    except CsvError as error:
        raise invalid_field("body", str(error)) from error
    except ValueError as error:
        raise ApiError(ErrorCode.VALIDATION_FAILED, f"The body can't be read: {error}") from error
