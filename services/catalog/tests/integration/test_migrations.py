"""Migrations of catalog make exactly the tables that the code expects."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from kit.db.database import Database
from kit.db.migrations import compare_type, modelled, upgrade
from kit.events import outbox
from services.catalog.__main__ import MIGRATIONS
from services.catalog.models import UNMODELLED, Base


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": compare_type, "compare_server_default": True, "include_name": modelled(UNMODELLED)}
    context = MigrationContext.configure(connection, opts=options)
    # A list of metadata is taken, but missing from the types.
    expected: Any = [Base.metadata, outbox.metadata]
    return [*compare_metadata(context, expected)]


async def test_migrated_schema_equals_models(database_url: str) -> None:
    await asyncio.to_thread(upgrade, MIGRATIONS, database_url)
    database = Database(database_url)
    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()
