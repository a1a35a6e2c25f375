"""Database migrations: Alembic, one history a service, safe to run from several replicas at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

from alembic import command, context, op
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    create_engine,
    event,
    text,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeEngine

from kit.db.database import Database

_LOCK = 7_306_401
"""Key of the advisory lock that lets one replica migrate while the others wait."""


def upgrade(folder: Path, database_url: str) -> None:
    """Brings a database to the newest revision in `folder`; does nothing when it is there already.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database can't be reached, or a revision fails (nothing of it remains).
    """
    asyncio.run(_upgrade(folder, database_url))


async def _upgrade(folder: Path, database_url: str) -> None:
    config = _configuration(folder)
    database = Database(database_url)
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    if database.is_sqlite:
        event.listen(database.engine.sync_engine, "connect", _ignore_foreign_keys)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(_run, config)
    finally:
        await database.close()


def new_revision(folder: Path, name: str) -> Path:
    """Write a revision that brings the newest tables of `folder` to what the models say, and return its path.

    The tables are made in a database in memory, so no data is touched. Revisions are numbered: 0001, 0002, ….

    Args:
        folder: a service's migrations.
        name: what the revision does, in words joined by underscores: `add_series`.
    """
    config = _configuration(folder)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    revisions = ScriptDirectory.from_config(config)
    number = f"{int(revisions.get_current_head() or 0) + 1:04}"
    message = f"{name.replace('_', ' ').capitalize()}."
    with create_engine("sqlite://").begin() as connection:
        _run(connection, config)
        command.revision(config, message, autogenerate=True, rev_id=number)
    return next((folder / "versions").glob(f"{number}_*.py"))


def _configuration(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _run(connection: Connection, config: Config) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise RuntimeError("a revision left rows that refer to nothing; nothing was changed")


def _ignore_foreign_keys(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """SQLite alters a table by making it anew and dropping the old: with foreign keys on, what refers to it goes."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


def environment(*metadata: MetaData) -> None:
    """The whole of a service's `migrations/env.py`.

    Args:
        metadata: the tables that revisions are compared with.
    """
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=list(metadata),
        # SQLite can't alter a column in place.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        render_item=_render_item,
        compare_type=_compare_type,
    )
    context.run_migrations()


def _render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write a column type of ours as the type that it is in the database: revisions outlive the code's types."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


def _compare_type(
    _context: MigrationContext, _inspected: Any, _metadata: Any, in_database: TypeEngine[Any], in_model: TypeEngine[Any]
) -> bool | None:
    """Return whether two types differ; None leaves that to Alembic. Each database keeps a `Float` as a double."""
    return False if isinstance(in_database, Float) and isinstance(in_model, Float) else None


def create_messaging_tables() -> None:
    """The outbox and inbox as every service's first revision makes them. Later changes need revisions of their own."""
    op.create_table(
        "outbox",
        Column("id", String(36), primary_key=True),
        Column("type", String(100), nullable=False),
        Column("source", String(50), nullable=False),
        Column("subject", String(100), nullable=False),
        Column("version", Integer, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("traceparent", String(100), nullable=False),
        Column("request_id", String(64), nullable=False),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("not_before", DateTime(timezone=True), nullable=False),
        Column("sent_at", DateTime(timezone=True)),
    )
    waiting = text("sent_at IS NULL")
    op.create_index("ix_outbox_waiting", "outbox", ["not_before"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "inbox",
        Column("consumer", String(100), primary_key=True),
        Column("event_id", String(36), primary_key=True),
        Column("received_at", DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_inbox_received_at", "inbox", ["received_at"])
