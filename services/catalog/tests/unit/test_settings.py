"""What the settings take and refuse."""

from __future__ import annotations

import pytest

from kit.origins import Object
from kit.settings import SettingsError, load
from services.catalog.settings import CatalogSettings

GOOD = {"database_url": "sqlite+aiosqlite:////tmp/x.db", "broker_url": "local:x"}


@pytest.mark.parametrize(
    ("media_url", "bucket"),
    [("file:///media", None), ("s3://films", Object("films", "")), ("s3://films/a/b/", Object("films", "a/b"))],
)
def test_a_media_store_is_a_folder_or_a_bucket(media_url: str, bucket: Object | None) -> None:
    assert load(CatalogSettings, **GOOD, media_url=media_url).media_bucket == bucket


def test_another_media_store_is_refused() -> None:
    with pytest.raises(SettingsError, match="MARQUEE_MEDIA_URL"):
        load(CatalogSettings, **GOOD, media_url="https://films.example")
