from __future__ import annotations

from pathlib import Path

import pytest

from kit.media import MediaStore
from services.stream.hotcache.mount_check import Mounts
from services.stream.tests.support import a_source

UPLOADED = a_source(reference="videos/1/source")
IMPORTED = a_source(reference="import:films/a.mp4")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    root = tmp_path / "media"
    MediaStore(root).prepare()
    return root


@pytest.fixture
def imports(tmp_path: Path) -> Path:
    root = tmp_path / "imports"
    root.mkdir()
    return root


def test_a_film_missing_among_others_was_deleted(media: Path, imports: Path) -> None:
    (media / "videos" / "2").mkdir(parents=True)
    (imports / "another.mp4").touch()
    mounts = Mounts(media, imports)
    assert mounts.is_deleted(UPLOADED)
    assert mounts.is_deleted(IMPORTED)


def test_an_empty_mount_point_is_no_store_also_when_a_service_has_prepared_it(media: Path, imports: Path) -> None:
    mounts = Mounts(media, imports)
    assert not mounts.is_deleted(UPLOADED)
    assert not mounts.is_deleted(IMPORTED)


def test_a_mount_point_that_is_gone_is_no_store(tmp_path: Path) -> None:
    mounts = Mounts(tmp_path / "none", tmp_path / "nothing")
    assert not mounts.is_deleted(UPLOADED)
    assert not mounts.is_deleted(IMPORTED)
    assert not Mounts(tmp_path, None).is_deleted(IMPORTED)


@pytest.mark.parametrize("reference", ["https://example.org/a.mp4", "s3://bucket/a.mp4", "videos/1/source"])
def test_what_another_machine_says_it_has_not_was_deleted(reference: str) -> None:
    assert Mounts(None, None).is_deleted(a_source(reference=reference))
