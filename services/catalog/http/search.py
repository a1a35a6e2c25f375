"""Routes of search."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from kit.auth.authentication import CurrentCaller, protected_router
from kit.web.schemas import Paging, paging
from services.catalog.schemas_search import SearchPageView, SearchResultView, SuggestionsView
from services.catalog.service.search import MAX_SUGGESTIONS, Search

Typed = Annotated[str, Query(max_length=1000, description="What was typed; an unfinished syllable is fine.")]


def build_router(search: Search) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/search")
    async def find(
        caller: CurrentCaller,
        page: Annotated[Paging, Depends(paging)],
        q: Typed = "",
        kind: Annotated[
            Literal["video", "series", "highlight", "subtitle"] | None, Query(description="Only results of this kind.")
        ] = None,
    ) -> SearchPageView:
        """Search what the caller may see, best first: titles, then tags, then descriptions.

        Words match from their beginning, Hangul also inside of words, by initial consonants and while a syllable is
        typed. Where little matches, typos are forgiven. `total` counts up to 1000. `did_you_mean` is what the items
        are results of when nothing matches as it was typed.
        """
        found = await search.find(caller, q, offset=page.offset, limit=page.page_size, kind=kind)
        return SearchPageView(
            items=[SearchResultView.of(result) for result in found.results],
            page=page.page,
            page_size=page.page_size,
            total=found.total,
            did_you_mean=found.did_you_mean,
        )

    @router.get("/api/search/suggest")
    async def suggest(caller: CurrentCaller, q: Typed = "") -> SuggestionsView:
        """Return the best results for what has been typed so far."""
        found = await search.find(caller, q, offset=0, limit=MAX_SUGGESTIONS)
        items = [SearchResultView.of(result) for result in found.results]
        return SuggestionsView(items=items, did_you_mean=found.did_you_mean)

    return router
