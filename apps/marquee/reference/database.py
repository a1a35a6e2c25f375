"""`docs/reference/database.md`: the tables of each service, drawn and listed."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Column, Index, Table, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase

from apps.marquee.reference.markdown import one_line, table
from kit.events import outbox
from services.auth.models import Base as AuthBase
from services.catalog.models import Base as CatalogBase
from services.progress.models import Base as ProgressBase
from services.stream.models import Base as StreamBase

BASES: Final[Mapping[str, type[DeclarativeBase]]] = {
    "auth": AuthBase,
    "catalog": CatalogBase,
    "progress": ProgressBase,
    "stream": StreamBase,
}
HEAD: Final = """# Databases

<!-- Generated from the services' models by `make docs`. -->

One database a service: SQLite files below `MARQUEE_DATA_DIR` in embedded mode, PostgreSQL otherwise. No service reads
another's tables, so no foreign key crosses a service: what another service owns is kept by its id. Stream's is for
protected films only; it keeps play sessions in Redis (in memory in embedded mode). Thumbnailer keeps nothing.
How tables change: [migrations](../development/migrations.md).

Ids are UUIDv7, as text. Moments are `timestamptz` in PostgreSQL, and text in UTC in SQLite. `version` counts the
changes of a row: events carry it, and consumers ignore what is older than what they have.
"""
MESSAGING: Final = """
## In each of them: outbox and inbox

Events leave by `outbox`, in the transaction of their fact, and take effect once by `inbox`:
[events](../development/events.md).
"""


def database_page() -> str:
    """Return the page, in Markdown."""
    lines = [HEAD]
    for service, base in BASES.items():
        classes = {mapper.class_.__tablename__: mapper.class_ for mapper in base.registry.mappers}
        tables = [base.metadata.tables[name] for name in sorted(base.metadata.tables)]
        lines += [f"## {service}\n", *_diagram(tables)]
        for each in tables:
            model = classes.get(each.name)
            comments = _attribute_docstrings(model) if model else {}
            lines += ["", *_section(each, one_line(model.__doc__) if model else "", comments)]
        lines.append("")
    lines.append(MESSAGING.strip("\n"))
    for each in outbox.metadata.sorted_tables:
        lines += ["", *_section(each, "", {})]
    return "\n".join(lines) + "\n"


def _diagram(tables: list[Table]) -> Iterator[str]:
    yield "```mermaid"
    yield "erDiagram"
    for each in tables:
        for key in sorted(each.foreign_keys, key=lambda key: key.parent.name):
            child = "o|" if key.parent.unique or [*each.primary_key] == [key.parent] else "o{"
            yield f'    {key.column.table.name} ||--{child} {each.name} : "{key.parent.name}"'
    for each in tables:
        yield f"    {each.name} {{"
        for column in each.columns:
            marks = [mark for mark, is_set in _marks(column).items() if is_set]
            yield f"        {_type(column).partition('(')[0]} {column.name}{' ' if marks else ''}{', '.join(marks)}"
        yield "    }"
    yield "```"


def _marks(column: Column[Any]) -> dict[str, bool]:
    return {"PK": column.primary_key, "FK": bool(column.foreign_keys), "UK": bool(column.unique)}


def _section(each: Table, description: str, comments: Mapping[str, str]) -> Iterator[str]:
    yield f"### {each.name}\n"
    if description:
        yield f"{description}\n"
    rows = (
        (
            f"`{column.name}`",
            _type(column),
            "yes" if column.nullable else "",
            ", ".join([*_keys(column), *([comments[column.name]] if column.name in comments else [])]),
        )
        for column in each.columns
    )
    yield from table(("column", "type", "null", ""), rows)
    constraints = [
        f"unique ({', '.join(column.name for column in constraint.columns)})"
        for constraint in each.constraints
        if isinstance(constraint, UniqueConstraint) and len(constraint.columns) > 1
    ]
    indexes = [f"{'unique ' if index.unique else ''}index ({', '.join(_names(index))})" for index in each.indexes]
    if found := sorted([*constraints, *indexes]):
        yield f"\n{'; '.join(found)}"


def _names(index: Index) -> Iterator[str]:
    for expression in index.expressions:
        yield str(getattr(expression, "name", expression))


def _keys(column: Column[Any]) -> Iterator[str]:
    if column.primary_key:
        yield "primary key"
    for key in column.foreign_keys:
        yield f"refers to `{key.target_fullname}`"
    if column.unique:
        yield "unique"


def _type(column: Column[Any]) -> str:
    kind = getattr(column.type, "impl", column.type)
    return str(kind).lower() if not getattr(kind, "timezone", False) else "timestamptz"


def _attribute_docstrings(model: type) -> dict[str, str]:
    """Return the text below each attribute of a class, by the attribute's name."""
    module = ast.parse(textwrap.dedent(inspect.getsource(model)))
    statements = next(node.body for node in module.body if isinstance(node, ast.ClassDef))
    found = {}
    for statement, following in pairwise(statements):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            found[statement.target.id] = one_line(str(following.value.value))
    return found
