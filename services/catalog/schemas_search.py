"""Shapes of search in catalog's HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kit.encoded_json import Encoded, encode
from kit.web.schemas import View
from services.catalog.schemas import VideoView
from services.catalog.service.search import SearchResult

Kind = Literal["video", "series", "highlight", "subtitle"]


class _Sparse(View):
    """A shape of which fields without a value are left out."""

    @model_serializer(mode="wrap")
    def _leave_out(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return sparse(serialize(self))


class SearchResultView(_Sparse):
    """Something that was found."""

    kind: Kind
    title: str
    video: VideoView
    spans: list[tuple[int, int]] = Field(
        description="Parts of the title that match: first character and the one after the last, counted in code points."
    )
    position_sec: float | None = Field(None, description="Where in the video it is.")


class SuggestionsView(_Sparse):
    """The best results."""

    items: list[SearchResultView]
    did_you_mean: str | None = Field(None, description="What was probably meant; the items are its results.")


class SearchPageView(SuggestionsView):
    """A page of results."""

    page: int
    page_size: int
    total: int


def encode_result(result: SearchResult) -> Encoded:
    """Return a result in the shape of `SearchResultView`."""
    fields = {"kind": result.kind, "title": result.title, "video": result.card, "spans": result.spans}
    return encode(sparse(fields | {"position_sec": result.position_sec}))


def sparse(fields: Mapping[str, object]) -> dict[str, object]:
    """Return fields without those that have no value."""
    return {name: value for name, value in fields.items() if value is not None}
