"""All SQL of search: one port with an adapter for each database, which differ in how they match tokens.

A reader sees the documents of the videos that it may see: that is a condition of every statement, so that neither
pages nor counts know of others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Select,
    and_,
    cast,
    column,
    func,
    or_,
    select,
    table,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import literal

from services.catalog.domain import Caller
from services.catalog.models import SearchDocument, SearchWord, Video
from services.catalog.repository.videos import visible_to
from services.catalog.search.distance import allowed_edits, typo_cost
from services.catalog.search.document import BODY_RUN, MAX_BODY_RUN
from services.catalog.search.query import (
    AllOf,
    Expression,
    Near,
    Query,
    Term,
    TermKind,
    Token,
    strict,
    terms_to_verify,
    tolerant,
)
from services.catalog.search.scoring import Candidate

MAX_TOTAL: Final = 1000
"""Matches are counted up to here."""
_TITLE_RANGE: Final = 1000
_TOLERANT_EACH: Final = 100
_WORDS_EACH: Final = 1000
_NEAREST: Final = 8
_LAST: Final = "\U0010ffff"


class Found(Protocol):
    """A row of a document that was found."""

    id: int
    kind: str
    item_id: str
    video_id: str
    position_sec: float | None
    title: str
    folded: str
    initials: str
    views: int


_COLUMNS: Final = (
    SearchDocument.id,
    SearchDocument.kind,
    SearchDocument.item_id,
    SearchDocument.video_id,
    SearchDocument.position_sec,
    SearchDocument.title,
    SearchDocument.folded,
    SearchDocument.initials,
    SearchDocument.views,
)


class TokenIndex(Protocol):
    """Finds documents by tokens: what differs between databases."""

    async def prepare(self, session: AsyncSession) -> None:
        """Make the planner use the index in this transaction."""

    def matching(self, expression: Expression) -> Select[int]:
        """Return a selection of the ids of documents whose tokens match, newest first where that costs nothing."""

    def in_body(self, word: str) -> ColumnElement[bool]:
        """Return whether the longer text has a word of a dense script that begins so."""

    async def newest(self, session: AsyncSession, chosen: Executable) -> Sequence[Row[Any]] | None:
        """Return the newest of more matches than are counted; None if `matching` gave the newest already."""


class SqliteIndex:
    """`TokenIndex` by FTS5."""

    _INDEX = table("search_index", column("rowid"), column("search_index"))

    async def prepare(self, session: AsyncSession) -> None:
        """See `TokenIndex`."""

    def matching(self, expression: Expression) -> Select[int]:
        """See `TokenIndex`."""
        index = self._INDEX
        return (
            select(SearchDocument.id)
            .select_from(index)
            .join(SearchDocument, SearchDocument.id == index.c.rowid)
            .where(index.c.search_index.op("MATCH")(_fts5(expression)))
            .order_by(index.c.rowid.desc())
        )

    def in_body(self, word: str) -> ColumnElement[bool]:
        """See `TokenIndex`."""
        return (literal(" ") + SearchDocument.terms).contains(f" {BODY_RUN}{word}", autoescape=True)

    async def newest(self, session: AsyncSession, chosen: Executable) -> Sequence[Row[Any]] | None:
        """See `TokenIndex`."""


class PostgresIndex:
    """`TokenIndex` by a GIN index over `tsvector`."""

    async def prepare(self, session: AsyncSession) -> None:
        """See `TokenIndex`. How many rows begin with a few letters can't be estimated, so a scan may look cheap."""
        await session.execute(text("SET LOCAL enable_seqscan = off"))

    def matching(self, expression: Expression) -> Select[int]:
        """See `TokenIndex`. GIN gives no order."""
        return select(SearchDocument.id).where(_matches(expression))

    def in_body(self, word: str) -> ColumnElement[bool]:
        """See `TokenIndex`."""
        return _matches(Token(BODY_RUN + word, is_prefix=True))

    async def newest(self, session: AsyncSession, chosen: Executable) -> Sequence[Row[Any]] | None:
        """See `TokenIndex`. What matches so much is met soon from the newest backwards."""
        await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        rows: Sequence[Row[Any]] = (await session.execute(chosen)).all()
        await session.execute(text("SET LOCAL enable_bitmapscan = on"))
        return rows


def _matches(expression: Expression) -> ColumnElement[bool]:
    return SearchDocument.terms.op("@@")(cast(_tsquery(expression), TSQUERY))


def _fts5(expression: Expression) -> str:
    if isinstance(expression, Token):
        return f'"{expression.text}"' + ("*" if expression.is_prefix else "")
    operator = " AND " if isinstance(expression, AllOf) else " OR "
    return "(" + operator.join(map(_fts5, expression.parts)) + ")"


def _tsquery(expression: Expression) -> str:
    if isinstance(expression, Token):
        return f"'{expression.text}'" + (":*" if expression.is_prefix else "")
    operator = " & " if isinstance(expression, AllOf) else " | "
    return "(" + operator.join(map(_tsquery, expression.parts)) + ")"


class SearchRepository:
    """The documents that one caller may see.

    Args:
        session: a transaction that reads.
        caller: who searches.
        kind: only documents of this kind; None for all.
    """

    def __init__(self, session: AsyncSession, caller: Caller, kind: str | None = None) -> None:
        self._session = session
        self._index: TokenIndex = SqliteIndex() if session.get_bind().dialect.name == "sqlite" else PostgresIndex()
        visible = select(Video.id).where(Video.id == SearchDocument.video_id, visible_to(caller)).exists()
        self._visible = visible if kind is None else and_(visible, SearchDocument.kind == kind)

    async def prepare(self) -> None:
        """Prepare the transaction; call this first."""
        await self._index.prepare(self._session)

    async def by_title(self, query: Query, limit: int) -> Sequence[Found]:
        """Return documents whose title begins as the query: the one that equals it first of all, then the newest."""
        key = SearchDocument.title_key
        same = (
            select(SearchDocument.id)
            .where(key >= query.key, key <= query.key + _LAST, self._visible)
            .order_by(key)
            .limit(_TITLE_RANGE)
            .cte("same")
        )
        chosen = (
            select(*_COLUMNS)
            .join(same, same.c.id == SearchDocument.id)
            .order_by((key == query.key).desc(), SearchDocument.id.desc())
            .limit(limit)
        )
        return (await self._session.execute(chosen)).all()

    async def strict(self, query: Query, limit: int) -> tuple[Sequence[Found], int]:
        """Return the newest documents that hold every term as typed, and how many there are up to `MAX_TOTAL`."""
        expression = strict(query)
        checks = [*map(self._verified, terms_to_verify(query)), self._visible]
        hits = self._index.matching(expression).where(*checks).limit(MAX_TOTAL + 1)
        matched = hits.cte("matched").prefix_with("MATERIALIZED")
        total = select(func.count()).select_from(matched).scalar_subquery()
        newest_first = SearchDocument.id.desc()
        chosen = (
            select(*_COLUMNS, total.label("total"))
            .join(matched, matched.c.id == SearchDocument.id)
            .order_by(newest_first)
            .limit(limit)
        )
        rows = (await self._session.execute(chosen)).all()
        count = rows[0].total if rows else 0
        if count > MAX_TOTAL:
            every = self._index.matching(expression).where(*checks).with_only_columns(*_COLUMNS)
            rows = await self._index.newest(self._session, every.order_by(newest_first).limit(limit)) or rows
        return rows, min(count, MAX_TOTAL)

    async def tolerant(self, query: Query, near: Near) -> Sequence[Found]:
        """Return documents that may match with typos; `scoring.rank` decides."""
        each = [
            self._index.matching(expression).where(self._visible).limit(_TOLERANT_EACH).subquery()
            for expression in tolerant(query, near)
        ]
        ids = union_all(*(select(part.c.id) for part in each)).cte("maybe")
        chosen = select(*_COLUMNS).where(SearchDocument.id.in_(select(ids.c.id)))
        return (await self._session.execute(chosen)).all()

    async def near(self, words: Sequence[str]) -> Near:
        """Return for each word the existing words that it may be a typo of."""
        tolerated = [word for word in words if allowed_edits(word)]
        if not tolerated:
            return {}
        parts = [part.subquery() for word in tolerated for part in _may_be(word)]
        found = set((await self._session.scalars(union_all(*(select(part.c.word) for part in parts)))).all())
        return {word: _nearest(word, found) for word in tolerated}

    def _verified(self, term: Term) -> ColumnElement[bool]:
        """Return whether a document has the letters of a term side by side."""
        joined = func.replace(SearchDocument.folded, " ", "").contains(term.letters, autoescape=True)
        options = [joined, self._index.in_body(term.letters[:MAX_BODY_RUN])]
        if term.kind is TermKind.INITIALS:
            options.append(SearchDocument.initials.contains(term.letters, autoescape=True))
        return or_(*options)


def _may_be(word: str) -> Sequence[Select[str]]:
    """Return selections of words that begin or end like a word: a typo spares one of its ends."""
    edits, length = allowed_edits(word), len(word)
    half = (length + 1) // 2
    # Letters that changed places across the middle spare the letters before.
    third = length // 3 + 1
    head, tail = (word[: half - 1], word[half:]) if edits == 1 else (word[:third], word[-third:])
    fits = func.length(SearchWord.word).between(length - edits, length + edits)
    backwards = tail[::-1]
    return (
        select(SearchWord.word)
        .where(SearchWord.word >= head, SearchWord.word <= head + _LAST, fits)
        .limit(_WORDS_EACH),
        select(SearchWord.word)
        .where(SearchWord.backwards >= backwards, SearchWord.backwards <= backwards + _LAST, fits)
        .limit(_WORDS_EACH),
    )


def _nearest(typed: str, words: set[str]) -> Mapping[str, float]:
    costs = [(cost, word) for word in words if word != typed and (cost := typo_cost(typed, word)) is not None]
    return {word: cost for cost, word in sorted(costs)[:_NEAREST]}


def candidate(found: Found) -> Candidate:
    """Return what a row is ranked by."""
    return Candidate(found.id, found.folded, found.initials, found.views)
