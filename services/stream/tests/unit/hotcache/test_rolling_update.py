"""Replicas from before assets and of this release share a folder of hot copies while an upgrade rolls."""

from __future__ import annotations

import json
import os
from pathlib import Path

from services.stream.domain import AssetKind
from services.stream.hotcache.copy_writer import FILM, MANIFEST_FILE
from services.stream.hotcache.directory import CopyDirectory
from services.stream.hotcache.manifest import CopyManifest
from services.stream.tests.support import a_source, asset_of, open_below, until
from services.stream.tests.unit.hotcache.bench import Bench, content
from services.stream.tests.unit.hotcache.support import FILMS, MIB, manifest_of, names, put

ANN, BOB, *_ = FILMS
OLD_FIELDS = ("video_id", "version", "state", "size", "modified_ns", "sha256")
"""Of a manifest before assets: that release ignores other fields, and can't do without one of these."""


def write_as_before_assets(root: Path, manifest: CopyManifest, film: bytes) -> Path:
    path = root / f"{manifest.video_id}.{manifest.key}.copy"
    path.mkdir(parents=True)
    (path / FILM).write_bytes(film)
    (path / MANIFEST_FILE).write_text(json.dumps({name: getattr(manifest, name) for name in OLD_FIELDS}))
    return path


async def bench_with_copy_from_before(folder: Path, film: bytes) -> Bench:
    bench = Bench(folder)
    source = bench.film(ANN, film)
    original = await bench.originals.open(source)
    manifest = CopyManifest(
        asset_id=ANN,
        video_id=ANN,
        version=source.version,
        state=original.state,
        size=original.size,
        modified_ns=original.mtime_ns,
    )
    write_as_before_assets(bench.hot_root, manifest, film)
    await bench.store.prepare()
    return bench


async def test_serves_a_copy_from_before_assets_and_makes_no_other(tmp_path: Path) -> None:
    film = os.urandom(1000)
    bench = await bench_with_copy_from_before(tmp_path, film)
    before = names(bench.hot_root)
    file = await bench.store.open(bench.sources[ANN])
    assert (file.tier, await content(file)) == ("ssd", film)
    assert await bench.store.open(bench.sources[ANN]) is file
    await bench.promoter.promote_some()
    assert names(bench.hot_root) == before
    bench.store.close()


async def test_replaces_a_copy_from_before_assets_when_its_original_changes(tmp_path: Path) -> None:
    bench = await bench_with_copy_from_before(tmp_path, b"first film")
    held = await bench.store.open(bench.sources[ANN])
    source = bench.film(ANN, b"another film", version=2)
    assert (await bench.store.open(source)).tier == "nas"
    assert not held.is_validated()
    # The representation that holds the file is known by the id of the asset.
    assert asset_of(ANN) in bench.released
    del held
    await bench.promoter.promote_some()
    file = await bench.store.open(source)
    assert (file.tier, await content(file)) == ("ssd", b"another film")
    assert len([name for name in names(bench.hot_root) if name.endswith(".copy")]) == 1
    bench.store.close()


async def test_drops_a_copy_from_before_assets_when_its_video_is_deleted(tmp_path: Path) -> None:
    bench = await bench_with_copy_from_before(tmp_path, b"film")
    await bench.store.open(bench.sources[ANN])
    await bench.store.drop(ANN, "deleted")
    assert asset_of(ANN) in bench.released
    await until(lambda: open_below(bench.hot_root) == [])
    await bench.store.refresh()
    assert names(bench.hot_root) == set()
    bench.store.close()


def test_a_copy_of_a_source_is_named_and_described_as_releases_before_assets_expect(tmp_path: Path) -> None:
    folder = CopyDirectory(tmp_path, 10 * MIB)
    manifest = manifest_of(ANN, MIB)
    copy = put(folder, manifest)
    assert copy.path.name == f"{ANN}.{manifest.key}.copy"
    written = json.loads((copy.path / MANIFEST_FILE).read_bytes())
    assert {name: written[name] for name in OLD_FIELDS} == {name: getattr(manifest, name) for name in OLD_FIELDS}
    assert folder.copies() == {asset_of(ANN): copy}


def test_copies_of_two_assets_of_a_video_are_kept_side_by_side(tmp_path: Path) -> None:
    folder = CopyDirectory(tmp_path, 10 * MIB)
    source = put(folder, manifest_of(ANN, MIB))
    pack = put(
        folder,
        CopyManifest(asset_id=BOB, kind="pack", video_id=ANN, version=1, state="p", size=1000, modified_ns=None),
    )
    assert pack.path.name.startswith(BOB)
    folder.sweep()
    assert folder.copies() == {asset_of(ANN): source, BOB: pack}


async def test_takes_the_original_while_a_catalog_from_before_assets_answers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.store.prepare()
    source = await bench.promoted(ANN, b"film")
    answered_by_old_catalog = a_source(asset_id=ANN, video_id=ANN, reference=ANN)
    assert answered_by_old_catalog.kind == AssetKind.SOURCE
    file = await bench.store.open(answered_by_old_catalog)
    assert (file.tier, await content(file)) == ("nas", b"film")
    assert (await bench.store.open(source)).tier == "ssd"
    bench.store.close()
