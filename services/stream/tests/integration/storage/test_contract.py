"""What every store keeps to: the same bytes, by range, in one state, or an error."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from kit.origins import Origins
from kit.settings import load
from kit.testing.origin import Origin
from mp4 import UnsupportedMediaError
from mp4.structure import MAX_PREFIX_BYTES
from mp4.tests.films import ffmpeg, pictures
from services.stream.domain import Source
from services.stream.settings import StreamSettings
from services.stream.storage.port import Store, StoredFile
from services.stream.storage.router import build_store
from services.stream.storage.virtual_file_cache import VirtualFiles
from services.stream.tests.integration.storage.conftest import Originals
from services.stream.tests.support import a_source

DATA = os.urandom(1_000_000)
OTHER = os.urandom(1_000_000)
Build = Callable[[], Store]


@pytest.fixture
async def build(store: Path, tmp_path: Path, settings: dict[str, Any]) -> AsyncIterator[Build]:
    """Makes a store, as each replica has one."""
    made: list[tuple[Store, Origins]] = []
    loaded = load(
        StreamSettings, broker_url="local:", media_url=store.as_uri(), ticket_key_file=tmp_path / "key", **settings
    )

    def build() -> Store:
        origins = Origins(loaded)
        made.append((build_store(loaded, origins), origins))
        return made[-1][0]

    yield build
    for each, origins in made:
        each.close()
        await origins.close()


@pytest.fixture
def source(originals: Originals) -> Source:
    originals.put("film", DATA)
    return a_source(reference=originals.reference("film"))


async def read(file: StoredFile, offset: int, count: int) -> bytes:
    return b"".join([block async for block in file.blocks(offset, count)])


async def test_the_same_bytes(build: Build, source: Source, originals: Originals) -> None:
    file = await build().open(source)
    assert (file.size, file.tier) == (len(DATA), originals.tier)
    for offset, count in ((0, len(DATA)), (0, 1), (1, 300_000), (262_144, 262_144), (999_999, 1), (500_000, 500_000)):
        assert await read(file, offset, count) == DATA[offset : offset + count]


async def test_blocks_are_small(build: Build, source: Source) -> None:
    file = await build().open(source)
    sizes = [len(block) async for block in file.blocks(0, file.size)]
    assert max(sizes) <= 256 * 1024


async def test_readers_do_not_disturb_each_other(build: Build, source: Source) -> None:
    file = await build().open(source)
    ranges = [(at, 100_000) for at in range(0, 900_000, 90_000)]
    got = await asyncio.gather(*(read(file, *span) for span in ranges))
    assert got == [DATA[at : at + count] for at, count in ranges]


async def test_a_state_has_one_name_on_every_replica(build: Build, source: Source) -> None:
    first, second = await build().open(source), await build().open(source)
    assert first.state == second.state
    assert first.mtime_ns == second.mtime_ns
    assert first.is_validated()


async def test_opened_twice_it_is_one_file(build: Build, source: Source) -> None:
    store = build()
    files = await asyncio.gather(*(store.open(source) for _ in range(5)))
    assert len({id(file) for file in files}) == 1


async def test_a_new_state_has_a_new_name_and_the_old_one_gives_no_new_bytes(
    build: Build, source: Source, originals: Originals
) -> None:
    before = await build().open(source)
    originals.put("film", OTHER)
    after = await build().open(source)
    assert after.state != before.state
    assert await read(after, 0, after.size) == OTHER
    try:
        got = await read(before, 1000, 1000)
    except OSError:
        return
    assert got == DATA[1000:2000]


async def test_a_change_while_reading_mixes_nothing(build: Build, source: Source, originals: Originals) -> None:
    file = await build().open(source)
    async with aclosing(file.blocks(0, file.size)) as blocks:
        got = await anext(blocks)
        originals.put("film", OTHER)
        try:
            async for block in blocks:
                got += block
        except OSError:
            assert DATA.startswith(got)
            return
    assert got == DATA


async def test_what_is_cut_short_is_an_error(build: Build, source: Source, originals: Originals) -> None:
    file = await build().open(source)
    async with aclosing(file.blocks(0, len(DATA))) as blocks:
        got = await anext(blocks)
        originals.shorten("film", 400_000)
        try:
            async for block in blocks:
                got += block
        except OSError:
            assert DATA.startswith(got)
        else:
            # An answer that was under way may still be the old state's.
            assert got == DATA
            assert originals.tier == "remote"
    with pytest.raises(OSError, match=r"."):
        await read(file, 0, len(DATA))


async def test_what_is_not_there(build: Build, source: Source, originals: Originals) -> None:
    originals.remove("film")
    with pytest.raises(OSError, match=r"."):
        await build().open(source)


async def test_what_comes_back_is_found_again(
    build: Build, source: Source, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.remote.FAILED_SEC", 0)
    store = build()
    originals.remove("film")
    with pytest.raises(OSError, match=r"."):
        await store.open(source)
    originals.put("film", DATA)
    assert await read(await store.open(source), 0, 10) == DATA[:10]


@pytest.mark.parametrize("index_first", [True, False])
async def test_the_index_of_a_film_gives_the_same_virtual_file(
    build: Build, originals: Originals, store: Path, tmp_path: Path, index_first: bool
) -> None:
    path = tmp_path / "film.mp4"
    flags = ("-movflags", "+faststart") if index_first else ()
    # Larger than what is fetched at first, so that the index at its end is fetched apart.
    ffmpeg(*pictures(), "-vf", "noise=alls=80:allf=t", "-c:v", "libx264", "-qp", "10", *flags, path)
    content = path.read_bytes()
    assert len(content) > 2 * MAX_PREFIX_BYTES
    originals.put("film", content)
    (store / "copy").write_bytes(content)
    stores, virtual_files = build(), VirtualFiles()
    file = await stores.open(a_source(reference=originals.reference("film")))
    copy = await stores.open(a_source(reference="copy"))
    assert (await file.structure()) == (await copy.structure())
    assert (await file.structure()).is_fast_start is index_first
    ours, theirs = [await virtual_files.get(await each.index(), 0) for each in (file, copy)]
    virtual_files.close()
    assert (ours.header, ours.spans, ours.digest) == (theirs.header, theirs.spans, theirs.digest)
    assert bool(ours.header) is not index_first


async def test_what_is_no_film_has_no_structure(build: Build, source: Source) -> None:
    file = await build().open(source)
    for _ in range(2):
        with pytest.raises(UnsupportedMediaError):
            await file.structure()


@pytest.mark.parametrize("originals", ["http"], indirect=True)
async def test_however_many_ask_the_boxes_are_fetched_once(
    build: Build, originals: Originals, origin: Origin, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    ffmpeg(*pictures(), "-c:v", "libx264", path)
    originals.put("film", path.read_bytes())
    originals.put("none", DATA)
    store = build()
    film = await store.open(a_source(reference=originals.reference("film")))
    none = await store.open(a_source(reference=originals.reference("none")))
    before = len(origin.asked)
    await asyncio.gather(*(film.structure() for _ in range(20)))
    await film.structure()
    assert len(origin.asked) == before + 1
    await asyncio.gather(*(film.index() for _ in range(20)))
    # The outline again, as it goes with the index, and `moov`.
    assert len(origin.asked) == before + 3
    for _ in range(3):
        results = await asyncio.gather(none.structure(), none.index(), return_exceptions=True)
        assert all(isinstance(result, UnsupportedMediaError) for result in results)
    assert len(origin.asked) <= before + 5
