"""What the settings refuse."""

from __future__ import annotations

import pytest

from kit.settings import SettingsError, load
from services.catalog.settings import CatalogSettings


def test_a_bucket_is_refused_with_a_sentence() -> None:
    with pytest.raises(SettingsError, match=r"MARQUEE_MEDIA_URL can't be used: catalog writes to a folder only.*mount"):
        load(
            CatalogSettings,
            database_url="sqlite+aiosqlite:////tmp/x.db",
            broker_url="local:x",
            media_url="s3://films/marquee",
        )
