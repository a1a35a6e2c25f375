"""Migrations of catalog make exactly the tables that the code expects."""

from __future__ import annotations

import asyncio

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.testing.schema import schema_differences
from services.catalog.__main__ import MIGRATIONS
from services.catalog.models import UNMODELLED, Base


async def test_migrated_schema_equals_models(database_url: str) -> None:
    await asyncio.to_thread(upgrade, MIGRATIONS, database_url)
    database = Database(database_url)
    assert await schema_differences(database, Base.metadata, UNMODELLED) == []
    await database.close()
