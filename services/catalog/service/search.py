"""Find videos and their parts by what is typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kit.db.database import Database
from kit.encoded_json import Encoded
from services.catalog.domain import Caller
from services.catalog.repository.videos import VideoRepository
from services.catalog.search.keyboard import other_layout
from services.catalog.search.query import Near, Query, parse
from services.catalog.search.repository import MAX_TOTAL, Found, SearchRepository, candidate
from services.catalog.search.scoring import Rank, Tier, rank, spans
from services.catalog.service.cards import Cards

_FEW: Final = 1
"""Fewer strict matches than this are completed by tolerant ones: beside a match, half a word is no typo."""
_WINDOW: Final = 200
"""Newest matches that are ranked, at least; those whose title begins as the query are ranked in any case."""
_BY_TITLE: Final = 100
MAX_SUGGESTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One result."""

    kind: str
    title: str
    card: Encoded
    """Of the video."""
    spans: list[tuple[int, int]]
    """Parts of the title that match: see `scoring.spans`."""
    position_sec: float | None


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of results."""

    results: list[SearchResult]
    total: int
    """All matches, up to `MAX_TOTAL`."""
    did_you_mean: str | None


@dataclass(frozen=True, slots=True)
class _Ranked:
    query: Query
    found: list[Found]
    """Best first."""
    total: int
    near: Near | None = None
    """Words that typed ones were taken for; None when nothing was tolerated."""
    did_you_mean: str | None = None


class Search:
    """Searches what a caller may see.

    Args:
        database: where the documents are.
        cards: the videos as results show them.
    """

    def __init__(self, database: Database, cards: Cards) -> None:
        self._database = database
        self._cards = cards

    async def find(self, caller: Caller, text: str, *, offset: int, limit: int, kind: str | None = None) -> SearchPage:
        """Return a page of results, best first.

        Args:
            caller: who searches.
            text: what was typed.
            offset: how many results to skip.
            limit: how many to return at most.
            kind: only results of this kind; None for all.
        """
        query = parse(text)
        if not query.chunks or offset >= MAX_TOTAL:
            return SearchPage([], 0, None)
        async with self._database.read() as session:
            documents = SearchRepository(session, caller, kind)
            await documents.prepare()
            ranked = await self._ranked(documents, query, offset + limit)
            shown = ranked.found[offset : offset + limit]
            versions = await VideoRepository(session).versions([each.video_id for each in shown])
            cards = await self._cards.load(VideoRepository(session), versions)
        results = [
            SearchResult(
                found.kind,
                found.title,
                cards[found.video_id],
                spans(ranked.query, found.title, ranked.near),
                found.position_sec,
            )
            for found in shown
        ]
        return SearchPage(results, ranked.total, ranked.did_you_mean)

    async def _ranked(self, documents: SearchRepository, query: Query, wanted: int) -> _Ranked:
        strict = await self._strict(documents, query, wanted)
        if strict.total >= _FEW:
            return strict
        if not strict.total and (other := other_layout(query.text)):
            read = await self._strict(documents, parse(other), wanted)
            if read.total:
                return _Ranked(read.query, read.found, read.total, did_you_mean=other)
        return await self._tolerant(documents, strict)

    async def _strict(self, documents: SearchRepository, query: Query, wanted: int) -> _Ranked:
        window = min(MAX_TOTAL, max(_WINDOW, wanted))
        by_title = await documents.by_title(query, max(_BY_TITLE, wanted))
        newest, total = await documents.strict(query, window)
        found = {each.id: each for each in (*by_title, *newest)}
        ranks = {each.id: rank(query, candidate(each)) for each in found.values()}
        return _Ranked(query, _sorted(found, ranks), max(total, len(found)))

    async def _tolerant(self, documents: SearchRepository, strict: _Ranked) -> _Ranked:
        query = strict.query
        near = await documents.near(query.words)
        found = {each.id: each for each in await documents.tolerant(query, near)}
        ranks = {each.id: rank(query, candidate(each), near) for each in found.values()}
        for each in strict.found:
            found[each.id], ranks[each.id] = each, rank(query, candidate(each))
        ordered = _sorted(found, ranks)
        best = next((ranks[each.id] for each in ordered), None)
        is_corrected = best is not None and best.tier is Tier.TYPO
        corrected = _corrected(query, ordered[0], near) if is_corrected else None
        return _Ranked(query, ordered, len(ordered), near, corrected)


def _sorted(found: dict[int, Found], ranks: dict[int, Rank | None]) -> list[Found]:
    kept = [(each_rank, found[each]) for each, each_rank in ranks.items() if each_rank is not None]
    return [each for _, each in sorted(kept, key=lambda pair: pair[0])]


def _corrected(query: Query, best: Found, near: Near) -> str | None:
    """Return the query with the best result's words for those mistyped; None if it has other scripts."""
    existing = set(best.folded.split())
    words: list[str] = []
    for chunk in query.chunks:
        for term in chunk.terms:
            options = {word: cost for word, cost in near.get(term.letters, {}).items() if word in existing}
            words.append(min(options, key=options.__getitem__) if options else term.letters)
    changed = any(word != term.letters for word, term in zip(words, query.terms, strict=True))
    # Letters of Hangul are not put together again.
    is_plain = all(len(chunk.terms) == 1 for chunk in query.chunks) and len(query.words) == len(words)
    return " ".join(words) if changed and is_plain else None
