"""Database migrations: Alembic, one history a service, safe to run from several replicas at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from alembic import command, context, op
from alembic.config import Config
from sqlalchemy import Column, Connection, DateTime, Integer, LargeBinary, MetaData, String, event, text
from sqlalchemy.pool import ConnectionPoolEntry

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
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
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
    )
    context.run_migrations()


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
