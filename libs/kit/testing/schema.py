"""Comparison of a migrated database with the models of a service."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from kit.db.database import Database
from kit.db.migrations import compare_type, modelled
from kit.events import outbox


async def schema_differences(database: Database, models: MetaData, unmodelled: Collection[str] = ()) -> list[Any]:
    """Return what separates the tables of a database from `models` and the outbox's; empty when they are equal.

    Args:
        database: a migrated database.
        models: the service's own tables.
        unmodelled: tables and indexes that only migrations know.

    Returns:
        differences as `alembic.autogenerate.compare_metadata` describes them.
    """

    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": compare_type, "compare_server_default": True, "include_name": modelled(unmodelled)}
        context = MigrationContext.configure(connection, opts=options)
        # A list of metadata is taken, but missing from the types.
        expected: Any = [models, outbox.metadata]
        return [*compare_metadata(context, expected)]

    async with database.engine.connect() as connection:
        return await connection.run_sync(compare)
