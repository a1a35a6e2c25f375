"""Wrap all content keys by the present master key: `marquee keys rewrap`, or `python -m services.stream.rotate`.

Packs and licences stay as they are. docs/reference/lsv-licences.md has the steps of a change of the master key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.db.database import Database
from kit.errors import ApiError
from kit.settings import SettingsError, load, stop_start
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.master_keys import load_master_keys
from services.stream.settings import ProtectionSettings


def run() -> None:
    """Wrap the keys and print how many another master key had wrapped.

    Database and master keys are those that the environment names, or else those of embedded mode.

    Raises:
        SettingsError: a setting is missing, the database is away, or a key can't be unwrapped.
    """
    settings = load(ProtectionSettings, **_embedded())
    if settings.database_url is None:
        raise SettingsError("MARQUEE_DATABASE_URL is not set: there are no content keys.")
    count = asyncio.run(_rewrap(settings, settings.database_url))
    sys.stdout.write(
        f"{count} content keys were wrapped anew; MARQUEE_LSV_PREVIOUS_MASTER_KEYS is not needed any more.\n"
    )


async def _rewrap(settings: ProtectionSettings, database_url: str) -> int:
    database = Database(database_url)
    try:
        await database.require_migrated()
        return await ContentKeys(database, load_master_keys(settings)).rewrap()
    except ApiError as error:
        raise SettingsError(
            f"The content keys can't be wrapped: {error.details.get('dependency')} is missing."
        ) from error
    finally:
        await database.close()


def _embedded() -> dict[str, object]:
    """Return the settings that the launcher of embedded mode makes, where the environment has none."""
    data = (Path(os.environ.get("MARQUEE_DATA_DIR") or "var")).resolve()
    if os.environ.get("MARQUEE_DATABASE_URL") or not (data / "stream.db").exists():
        return {}
    return {
        "database_url": f"sqlite+aiosqlite:///{data / 'stream.db'}",
        "lsv_master_key_file": data / "lsv-master.key",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    argparse.ArgumentParser(prog="python -m services.stream.rotate", description=__doc__).parse_args(arguments)
    try:
        run()
    except SettingsError as error:
        stop_start(error)


if __name__ == "__main__":
    main()
