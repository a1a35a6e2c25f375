"""Explain the statements that a piece of code sends: no list may read a big table whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from kit.db.database import Database

Statement = tuple[str, Any]
"""A statement as the driver gets it, and its parameters."""


@contextmanager
def capture_selects() -> Iterator[list[Statement]]:
    """Collect the SELECT statements that this process sends inside the block."""
    captured: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")) and "outbox" not in statement:
            captured.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield captured
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def explain(database: Database, statement: Statement, *, by_statistics: bool = False) -> list[str]:
    """Return the lines of a statement's plan, as the database would choose it for big tables without statistics.

    PostgreSQL scans small tables whole, whatever indexes there are, so scans are priced out.

    Args:
        database: the database.
        statement: as `capture_selects` has it.
        by_statistics: as the database chooses it for its tables as they are: fill them and run ANALYZE before.
    """
    text, parameters = statement
    if database.is_sqlite:
        async with database.reader.connect() as connection:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
            return [str(row[-1]) for row in rows]
    async with database.engine.connect() as connection:
        if not by_statistics:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        rows = await connection.exec_driver_sql(f"EXPLAIN {text}", parameters)
        return [str(row[0]) for row in rows]


def scans(plan: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Return the lines of a plan that read one of these tables whole, without an index."""
    found = []
    for line in plan:
        words = line.split()
        reads_all = (words[0] == "SCAN" and "INDEX" not in words) or "Seq" in words
        if reads_all and any(table in words for table in tables):
            found.append(line)
    return found
