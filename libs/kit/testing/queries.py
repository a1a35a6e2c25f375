"""Count the SQL statements that a piece of code sends: lists must cost the same however long they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


class Counted:
    """The statements that were sent."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    @property
    def count(self) -> int:
        """Statements sent so far."""
        return len(self.statements)


@contextmanager
def count_queries() -> Iterator[Counted]:
    """Count the statements on tables that are sent inside the block, except by tasks that ran before, as the relay."""
    counted = Counted()
    background = asyncio.all_tasks() - {asyncio.current_task()}

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if " FROM " in statement.replace("\n", " ") and asyncio.current_task() not in background:
            counted.statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield counted
    finally:
        event.remove(Engine, "before_cursor_execute", note)
