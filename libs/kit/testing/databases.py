"""Databases with a service's tables in them: copies of one that was migrated once, as migrating takes long."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kit.db.migrations import upgrade
from kit.db.sqlite import OneStepCursor
from kit.ids import new_id
from kit.testing.servers import PostgresServer


class MigratedDatabases:
    """Make empty, migrated databases of a service.

    Args:
        migrations: the service's revisions.
        folder: for the SQLite file that is copied.
    """

    def __init__(self, migrations: Path, folder: Path) -> None:
        self._migrations = migrations
        self._file = folder / "migrated.db"
        self._template: str | None = None

    def sqlite(self, path: Path) -> str:
        """Write a database to `path`; return its URL."""
        if not self._file.exists():
            upgrade(self._migrations, f"sqlite+aiosqlite:///{self._file}")
        shutil.copy(self._file, path)
        return f"sqlite+aiosqlite:///{path}"

    @contextmanager
    def postgres(self, server: PostgresServer) -> Iterator[str]:
        """Give the URL of a database of its own, and drop it afterwards: hundreds would fill a disk."""
        if self._template is None:
            template = _new_name()
            upgrade(self._migrations, server.create_database(template))
            self._template = template
        name = _new_name()
        yield server.create_database(name, template=self._template)
        server.drop_database(name)


def _new_name() -> str:
    return f"migrated_{new_id().replace('-', '')}"


@contextmanager
def failing_writes(sqlite_error: int) -> Iterator[None]:
    """Make statements that write to SQLite fail inside, in this process; reading goes on.

    Args:
        sqlite_error: the code that SQLite gives: `sqlite3.SQLITE_FULL`, `sqlite3.SQLITE_BUSY`, …
    """
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = sqlite_error
    execute = OneStepCursor._run  # noqa: SLF001 - below the driver's own translation of errors

    def fail(cursor: OneStepCursor, how: Callable[..., sqlite3.Cursor], statement: str, parameters: Any) -> None:
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "REPLACE")):
            raise error
        execute(cursor, how, statement, parameters)

    with patch.object(OneStepCursor, "_run", fail):
        yield
