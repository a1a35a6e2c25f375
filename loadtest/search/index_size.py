"""How much room the index takes beside a plain index of the same words."""

from __future__ import annotations

from sqlalchemy import text

from kit.db.database import Database

_POSTGRESQL = "SELECT pg_relation_size(:name)"


async def ratio(database: Database, titles: list[str]) -> float | None:
    """Return the bytes of the index of tokens over those of an index of whole words; None where that can't be read.

    The other one is FTS5 with `unicode61`, or GIN over `to_tsvector('simple', title)`, made here.
    """
    rows = [{"title": title} for title in titles]
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            await connection.execute(text("CREATE VIRTUAL TABLE plain USING fts5(title, content='')"))
            numbered = [{"id": number, **row} for number, row in enumerate(rows)]
            await connection.execute(text("INSERT INTO plain (rowid, title) VALUES (:id, :title)"), numbered)
            for name in ("plain", "search_index"):
                await connection.execute(text(f"INSERT INTO {name} ({name}) VALUES ('optimize')"))  # noqa: S608
            ours, plain = [
                int(await connection.scalar(text(f"SELECT sum(length(block)) FROM {name}_data")) or 0)  # noqa: S608
                for name in ("search_index", "plain")
            ]
        else:
            await connection.execute(text("CREATE TABLE plain (title text)"))
            await connection.execute(text("INSERT INTO plain (title) VALUES (:title)"), rows)
            await connection.execute(text("CREATE INDEX ix_plain ON plain USING gin (to_tsvector('simple', title))"))
            await connection.execute(text("REINDEX INDEX ix_search_documents_terms"))
            ours = int(await connection.scalar(text(_POSTGRESQL), {"name": "ix_search_documents_terms"}) or 0)
            plain = int(await connection.scalar(text(_POSTGRESQL), {"name": "ix_plain"}) or 0)
        await connection.rollback()
    return ours / plain if plain else None
