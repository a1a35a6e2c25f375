"""How many queries find the title that they want, beside other kinds of index."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import psycopg

from kit.auth.tokens import Caller
from kit.db.database import Database
from loadtest.search.results import Quality
from loadtest.search.titles import Queries, Wanted
from services.catalog.schemas import encode_card
from services.catalog.search.text import fold
from services.catalog.service import Search
from services.catalog.service.cards import Cards

Finder = Callable[[str, int], Awaitable[Sequence[str]]]
"""Return the titles of the first results for a text."""
_FIRST = 10
_ON_SCREEN = 20
ADMIN = Caller("root", "admin", "active", "", "")


async def measure(
    find: Finder,
    titles: list[str],
    wanted: list[Wanted],
    typed: list[list[Wanted]],
    halves: list[str],
    queries: Queries,
) -> Quality:
    """Ask all queries."""
    found: dict[str, list[bool]] = defaultdict(list)
    for query in wanted:
        found[query.kind].append(titles[query.title] in await find(query.text, _FIRST))
    missed = empty = 0
    for stroke in (stroke for strokes in typed for stroke in strokes):
        shown = await find(stroke.text, _ON_SCREEN)
        empty += not shown
        if titles[stroke.title] not in shown and queries.begin_alike(stroke.text) <= _ON_SCREEN:
            missed += 1
    right: list[bool] = []
    for half in halves:
        right += [f" {half}" in f" {fold(title)}" for title in await find(half, _FIRST)]
    return Quality(
        recall={kind: sum(each) / len(each) for kind, each in found.items()},
        strokes=sum(map(len, typed)),
        strokes_missed=missed,
        strokes_empty=empty,
        precision=sum(right) / len(right) if right else 0.0,
    )


def marquee(database: Database) -> Finder:
    """Search as catalog does."""
    search = Search(database, Cards(encode_card))

    async def find(text: str, limit: int) -> Sequence[str]:
        page = await search.find(ADMIN, text, offset=0, limit=limit)
        return [result.title for result in page.results]

    return find


def fts5(titles: list[str], tokenizer: str) -> Finder:
    """Search by a plain FTS5 table: all words, the last one as a prefix where the tokenizer allows it."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE VIRTUAL TABLE plain USING fts5(title, tokenize='{tokenizer}')")
    connection.executemany("INSERT INTO plain VALUES (?)", [(title,) for title in titles])

    async def find(text: str, limit: int) -> Sequence[str]:
        words = [word.replace('"', '""') for word in text.split()]
        query = " ".join(f'"{word}"' for word in words) + ("" if tokenizer == "trigram" else "*")
        rows = connection.execute(
            "SELECT title FROM plain WHERE plain MATCH ? ORDER BY rank LIMIT ?", (query, limit)
        ).fetchall()
        await asyncio.sleep(0)
        return [title for (title,) in rows]

    return find


async def pg_trgm(url: str, titles: list[str]) -> Finder:
    """Search by PostgreSQL's trigrams: the most similar titles."""
    connection = await psycopg.AsyncConnection.connect(url.replace("+psycopg", ""), autocommit=True)
    await connection.execute("CREATE EXTENSION pg_trgm")
    await connection.execute("CREATE TABLE plain (title text)")
    async with connection.cursor() as cursor, cursor.copy("COPY plain FROM STDIN") as copy:
        for title in titles:
            await copy.write_row((title,))
    await connection.execute("CREATE INDEX ON plain USING gin (title gin_trgm_ops)")

    async def find(text: str, limit: int) -> Sequence[str]:
        cursor = await connection.execute(
            "SELECT title FROM plain WHERE %s <%% title ORDER BY %s <<-> title LIMIT %s", (text, text, limit)
        )
        return [title for (title,) in await cursor.fetchall()]

    return find
