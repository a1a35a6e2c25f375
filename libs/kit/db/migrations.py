"""Database migrations: Alembic, one history a service, safe to run from several replicas at once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, Literal

import structlog
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

log = structlog.get_logger()

_LOCK = 7_306_401
"""Key of the advisory lock that lets one replica migrate while the others wait."""
_ONLINE_LOCK = _LOCK + 1
"""The same for what is done outside of transactions."""


def upgrade(folder: Path, database_url: str, revision: str = "head") -> None:
    """Bring a database to a revision in `folder`, by default the newest; do nothing when it is there already.

    A revision that is not in `folder` was made by a later version, and is left as it is: each version works with the
    tables of the next one, so that an upgrade can be taken back (docs/development/migrations.md).

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database can't be reached, or a revision fails (nothing of it remains).
    """
    asyncio.run(_upgrade(folder, database_url, revision))


async def _upgrade(folder: Path, database_url: str, revision: str) -> None:
    config = _configuration(folder)
    database = Database(database_url)
    if database.is_sqlite and database.url.database:
        await asyncio.to_thread(_prepare_file, Path(database.url.database))
    if database.is_sqlite:
        event.listen(database.engine.sync_engine, "connect", _ignore_foreign_keys)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(_run, config, revision)
        if not database.is_sqlite:
            await _index_online(database)
    finally:
        await database.close()


def _prepare_file(path: Path) -> None:
    """Have a database that is new keep track of its free pages, so that `Database.maintain` can return them.

    SQLite takes that before the first table only, and else when the whole file is written anew.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or not path.stat().st_size:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")


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
        _run(connection, config, "head")
        command.revision(config, message, autogenerate=True, rev_id=number)
    return next((folder / "versions").glob(f"{number}_*.py"))


def _configuration(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _run(connection: Connection, config: Config, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        # Another replica's migration may take long.
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    config.attributes["connection"] = connection
    if later := _revisions_of_later_versions(connection, config):
        log.warning("database_of_later_version", revisions=later)
        return
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise RuntimeError("a revision left rows that refer to nothing; nothing was changed")


def _revisions_of_later_versions(connection: Connection, config: Config) -> list[str]:
    """Return the database's revisions that this version does not have."""
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    return [
        revision for revision in MigrationContext.configure(connection).get_current_heads() if revision not in known
    ]


def _ignore_foreign_keys(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Turn foreign keys off: SQLite alters a table by dropping it, which else deletes the rows that refer to it."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


def environment(*metadata: MetaData, unmodelled: Collection[str] = ()) -> None:
    """Run the migrations: all that a service's `migrations/env.py` has to call.

    Args:
        metadata: tables that autogenerated revisions compare the database with.
        unmodelled: beginnings of names of tables and indexes that no model has: those of one database only.
    """
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=list(metadata),
        # SQLite can't alter a column in place.
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        render_item=_render_item,
        compare_type=compare_type,
        include_name=modelled(unmodelled),
    )
    context.run_migrations()


def modelled(unmodelled: Collection[str]) -> Callable[[str | None, str, Any], bool]:
    """Return Alembic's `include_name` that leaves out names with one of these beginnings."""
    return lambda name, _kind, _parents: name is None or not name.startswith(tuple(unmodelled))


def _render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write a column type of ours as the type that it is in the database: revisions outlive the code's types."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


def compare_type(
    _context: MigrationContext, _inspected: Any, _metadata: Any, in_database: TypeEngine[Any], in_model: TypeEngine[Any]
) -> bool | None:
    """Return whether two types differ; None leaves that to Alembic. Each database keeps a `Float` as a double."""
    return False if isinstance(in_database, Float) and isinstance(in_model, Float) else None


def create_messaging_tables() -> None:
    """Create outbox and inbox as of every service's first revision. Later changes need revisions of their own."""
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


def add_index_of_sent_events() -> None:
    """Let what was sent long ago be deleted from the outbox without a scan: a revision of every service.

    On PostgreSQL `upgrade` creates the index after the revisions: see `_index_online`.
    """
    if op.get_context().dialect.name == "sqlite":
        op.create_index("ix_outbox_sent", "outbox", ["sent_at"], sqlite_where=text("sent_at IS NOT NULL"))


async def _index_online(database: Database) -> None:
    """Create the index of sent events in PostgreSQL while others write, unless it is there.

    Inside a revision's transaction it would keep all writers of a big outbox waiting until it is complete.
    """
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        # Polled: the creation waits for all statements that run, so also for one that waits for a lock.
        take = text("SELECT pg_try_advisory_lock(:key)")
        while not await connection.scalar(take, {"key": _ONLINE_LOCK}):  # noqa: ASYNC110 - other processes hold it
            await asyncio.sleep(_POLL_SEC)
        try:
            # None without an outbox, or without the index; false for one whose creation was cut off.
            is_valid = await connection.scalar(text(_IS_INDEX_VALID))
            if is_valid is False:
                await connection.execute(text("DROP INDEX CONCURRENTLY ix_outbox_sent"))
            if not is_valid and await connection.scalar(text("SELECT to_regclass('outbox') IS NOT NULL")):
                await connection.execute(text(_INDEX_SENT_EVENTS))
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ONLINE_LOCK})


_POLL_SEC: Final = 0.2
_IS_INDEX_VALID: Final = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_outbox_sent')"
_INDEX_SENT_EVENTS: Final = "CREATE INDEX CONCURRENTLY ix_outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL"
