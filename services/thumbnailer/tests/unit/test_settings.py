"""What the settings accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.origins import Object
from kit.settings import SettingsError, load
from services.thumbnailer.settings import ThumbnailerSettings

GOOD = {"broker_url": "local:x", "media_url": "file:///srv/media"}


def test_a_folder_stages_its_own_films() -> None:
    settings = load(ThumbnailerSettings, **GOOD, staging_dir="/srv/staging")
    assert settings.media_bucket is None
    assert settings.staging_root == Path("/srv/media")


def test_a_bucket_has_a_folder_for_staging() -> None:
    settings = load(ThumbnailerSettings, **GOOD | {"media_url": "s3://films/a/b/", "staging_dir": "/srv/staging"})
    assert settings.media_bucket == Object("films", "a/b")
    assert settings.staging_root == Path("/srv/staging")


@pytest.mark.parametrize("folder", [{}, {"staging_dir": "staging"}])
def test_a_bucket_without_a_folder_for_staging_is_refused(folder: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="MARQUEE_STAGING_DIR"):
        load(ThumbnailerSettings, **GOOD | {"media_url": "s3://films"} | folder)
