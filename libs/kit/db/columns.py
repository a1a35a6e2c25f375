"""Column types and conditions that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, String, Text, TypeDecorator, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time in UTC with its time zone, which SQLite does not store."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse times without a time zone: it would have to be guessed later."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a point in time needs a time zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class TextList(TypeDecorator[Collection[str]]):
    """A parameter that is a list of texts, however long: an array, or JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the database."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(String))

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> Any:
        """Return the list as its driver takes it."""
        values = list(value or ())
        return json.dumps(values) if dialect.name == "sqlite" else values


def among(column: Any, parameter: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    """Return whether a column has one of the texts of a parameter, which is given when the statement is executed.

    `column.in_(values)` writes a place for each value into the statement each time. This one stays as it is.
    """
    values = bindparam(parameter, type_=TextList)
    if is_sqlite:
        each = func.json_each(values).table_valued("value")
        return column.in_(select(each.c.value))  # type: ignore[no-any-return]
    return column == any_(values)  # type: ignore[no-any-return]
