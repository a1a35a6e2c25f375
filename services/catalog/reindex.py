"""Write the whole search index anew: `python -m services.catalog.reindex`. Catalog may run meanwhile."""

from __future__ import annotations

import asyncio
import sys

from kit.db.database import Database
from kit.settings import SettingsError, load, stop_start
from services.catalog.service import SearchIndexer
from services.catalog.settings import CatalogSettings


def run(database_url: str) -> int:
    """Index every video of a catalog's database, a batch a transaction; return how many.

    Raises:
        SettingsError: the database can't be used.
    """
    return asyncio.run(_run(database_url))


async def _run(database_url: str) -> int:
    database = Database(database_url)
    try:
        await database.require_migrated()
        return await SearchIndexer(database).complete(all_videos=True)
    finally:
        await database.close()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{run(load(CatalogSettings).database_url)} videos indexed.\n")
    except SettingsError as error:
        stop_start(error)
