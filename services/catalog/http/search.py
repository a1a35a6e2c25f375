"""Routes of search."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from kit.auth.authentication import CurrentCaller, protected_router
from kit.encoded_json import Encoded, encode
from kit.web.conditional import EncodedResponse
from kit.web.schemas import Paging, paging
from services.catalog.schemas_search import SearchPageView, SuggestionsView, encode_result, sparse
from services.catalog.service.answers import Answers
from services.catalog.service.search import MAX_SUGGESTIONS, Search, SearchPage

Typed = Annotated[str, Query(max_length=1000, description="What was typed; an unfinished syllable is fine.")]


def build_router(search: Search, answers: Answers) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/search", response_model=SearchPageView)
    async def find(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        q: Typed = "",
        kind: Annotated[
            Literal["video", "series", "highlight", "subtitle"] | None, Query(description="Only results of this kind.")
        ] = None,
    ) -> Response:
        """Search what the caller may see, best first: titles, then tags, then descriptions.

        Words match from their beginning, Hangul also inside of words, by initial consonants and while a syllable is
        typed. Where little matches, typos are forgiven. `total` counts up to 1000. `did_you_mean` is what the items
        are results of when nothing matches as it was typed.
        """

        async def make() -> Encoded:
            found = await search.find(caller, q, offset=page.offset, limit=page.page_size, kind=kind)
            paged = {"page": page.page, "page_size": page.page_size, "total": found.total}
            return encode({**_results(found), **paged})

        key = ("search", q, kind, page.page, page.page_size)
        return EncodedResponse(await answers.for_caller(caller, key, make))

    @router.get("/api/search/suggest", response_model=SuggestionsView)
    async def suggest(caller: CurrentCaller, q: Typed = "") -> Response:
        """Return the best results for what has been typed so far."""

        async def make() -> Encoded:
            return encode(_results(await search.find(caller, q, offset=0, limit=MAX_SUGGESTIONS)))

        return EncodedResponse(await answers.for_caller(caller, ("suggest", q), make))

    return router


def _results(found: SearchPage) -> dict[str, object]:
    """Return results in the shape of `SuggestionsView`."""
    return sparse({"items": list(map(encode_result, found.results)), "did_you_mean": found.did_you_mean})
