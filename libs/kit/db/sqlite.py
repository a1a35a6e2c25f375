"""Connections to SQLite that pass each statement to their thread once, with the reading of its rows.

`aiosqlite` crosses threads four times a statement: to make a cursor, to execute, to fetch, to close. Most statements
take less time than one crossing, so that a list of films spent more on crossings than on SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Self

import aiosqlite

_CHUNK = 64
"""Rows that aiosqlite reads at a time when a cursor of its own is iterated; SQLAlchemy does not."""


class OneStepCursor:
    """A cursor as SQLAlchemy's adapter uses it: rows are read with the execution, in the connection's thread."""

    arraysize = 1

    def __init__(self, connection: OneStepConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        """Return the cursor."""
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> Self:
        """Execute a statement and read all its rows."""
        await self._connection.in_thread(self._run, sqlite3.Cursor.execute, statement, parameters)
        return self

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> Self:
        """Execute a statement once for each of several parameters."""
        await self._connection.in_thread(self._run, sqlite3.Cursor.executemany, statement, parameters)
        return self

    def _run(self, execute: Callable[..., sqlite3.Cursor], statement: str, parameters: Any) -> None:
        cursor = self._connection.new_cursor()
        try:
            execute(cursor, statement, parameters)
            self.description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()

    async def fetchone(self) -> Any:
        """Return the next row; None after the last one."""
        return self._rows.pop(0) if self._rows else None

    async def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """Return the next rows."""
        count = self.arraysize if size is None else size
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken

    async def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows."""
        taken, self._rows = self._rows, []
        return taken

    async def close(self) -> None:
        """Drop the rows that were not fetched."""
        self._rows = []


class OneStepConnection(aiosqlite.Connection):
    """A connection with such cursors."""

    # SQLAlchemy's adapter enters and uses it, and nothing else does.
    def cursor(self) -> OneStepCursor:  # type: ignore[override]
        """Return a new cursor, without a crossing."""
        return OneStepCursor(self)

    def new_cursor(self) -> sqlite3.Cursor:
        """Return a cursor of the driver; call this in the connection's thread."""
        return self._conn.cursor()

    async def in_thread(self, function: Callable[..., object], *arguments: object) -> None:
        """Run a function in the connection's thread."""
        await self._execute(function, *arguments)  # type: ignore[no-untyped-call]


def connector(path: str, timeout_sec: float) -> Callable[[], Coroutine[Any, Any, OneStepConnection]]:
    """Return what opens connections to a file, for `create_async_engine(async_creator=…)`.

    Args:
        path: of the database.
        timeout_sec: seconds to wait for a lock that another process holds.
    """

    async def connect() -> OneStepConnection:
        connection = OneStepConnection(
            lambda: sqlite3.connect(path, timeout=timeout_sec, check_same_thread=False), _CHUNK
        )
        # As SQLAlchemy does with connections that it opens itself: a process that ends does not wait for them.
        connection._thread.daemon = True  # noqa: SLF001
        await connection
        return connection

    return connect
