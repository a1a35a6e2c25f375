"""What every written store must do: the folder, and a bucket on a real server."""

from __future__ import annotations

import asyncio
import errno
import os
import time

import pytest

from kit.media import InvalidReferenceError
from kit.media_store import WritableStore
from kit.tests.media_store.conftest import PART_BYTES

LIMIT = 1 << 28
DATA = os.urandom(3 * PART_BYTES + 1000)
BAD_REFERENCES = ["../outside", "/etc/passwd", "videos//x", "videos/x/", "videos/.hidden", "", "videos/a b"]


async def folders(store: WritableStore, reference: str) -> dict[str, float]:
    return {entry.name: entry.modified async for entry in store.folders(reference)}


async def write(store: WritableStore, reference: str, data: bytes, block: int = 10_000) -> None:
    async with store.writer(reference, LIMIT) as writer:
        for start in range(0, len(data), block):
            await writer.write(data[start : start + block])
        assert writer.size == len(data)
        await writer.complete()


@pytest.mark.parametrize(
    ("size", "block"),
    [(0, 1), (1, 1), (PART_BYTES, 10_000), (PART_BYTES + 1, 10_000), (len(DATA), 10_000), (len(DATA), len(DATA))],
)
async def test_a_file_has_the_bytes_that_were_written(store: WritableStore, size: int, block: int) -> None:
    await write(store, "videos/v1/source", DATA[:size], block)
    assert await store.read("videos/v1/source", LIMIT) == DATA[:size]


async def test_a_file_is_not_there_before_it_is_completed(store: WritableStore) -> None:
    async with store.writer("videos/v1/source", LIMIT) as writer:
        await writer.write(DATA)
        with pytest.raises(FileNotFoundError):
            await store.read("videos/v1/source", LIMIT)
        assert await folders(store, "videos") == {}
        await writer.complete()
    assert await store.read("videos/v1/source", LIMIT) == DATA


@pytest.mark.parametrize("size", [10, len(DATA)])
async def test_a_file_that_is_not_completed_leaves_nothing(store: WritableStore, size: int) -> None:
    async with store.writer("videos/v1/source", LIMIT) as writer:
        await writer.write(DATA[:size])
    with pytest.raises(FileNotFoundError):
        await store.read("videos/v1/source", LIMIT)
    assert await store.clear_unfinished(time.time() + 3600) == []


async def test_an_error_or_a_cancelled_writer_leaves_the_old_file(store: WritableStore) -> None:
    await store.put("videos/v1/source", b"old")

    async def write_and_fail(error: type[BaseException]) -> None:
        async with store.writer("videos/v1/source", LIMIT) as writer:
            await writer.write(DATA)
            raise error

    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            await write_and_fail(error)
    assert await store.read("videos/v1/source", LIMIT) == b"old"
    assert await store.clear_unfinished(time.time() + 3600) == []


async def test_a_new_file_takes_the_place_of_an_old_one(store: WritableStore) -> None:
    await write(store, "videos/v1/source", DATA)
    await write(store, "videos/v1/source", b"new")
    assert await store.read("videos/v1/source", LIMIT) == b"new"
    await store.put("videos/v1/source", b"newer")
    assert await store.read("videos/v1/source", LIMIT) == b"newer"


async def test_two_writers_of_one_file_do_not_mix(store: WritableStore) -> None:
    one, other = DATA, bytes(reversed(DATA))
    async with store.writer("videos/v1/source", LIMIT) as first, store.writer("videos/v1/source", LIMIT) as second:
        for start in range(0, len(DATA), 50_000):
            await first.write(one[start : start + 50_000])
            await second.write(other[start : start + 50_000])
        await first.complete()
        assert await store.read("videos/v1/source", LIMIT) == one
        await second.complete()
    assert await store.read("videos/v1/source", LIMIT) == other


async def test_refuses_more_bytes_than_were_announced(store: WritableStore) -> None:
    async with store.writer("videos/v1/source", 100) as writer:
        await writer.write(DATA[:100])
        with pytest.raises(OSError) as caught:  # noqa: PT011 - checked by its number
            await writer.write(b"x")
        assert caught.value.errno in {errno.ENOSPC, errno.EFBIG}
        with pytest.raises(OSError, match="broken off"):
            await writer.complete()
    with pytest.raises(FileNotFoundError):
        await store.read("videos/v1/source", LIMIT)


async def test_reading_is_bounded(store: WritableStore) -> None:
    await store.put("videos/v1/a.vtt", b"x" * 1000)
    assert await store.read("videos/v1/a.vtt", 1000) == b"x" * 1000
    with pytest.raises(OSError, match="999 bytes") as caught:
        await store.read("videos/v1/a.vtt", 999)
    assert not isinstance(caught.value, FileNotFoundError)


async def test_removes_files_and_folders_and_accepts_missing_ones(store: WritableStore) -> None:
    for name in ("v1/source", "v1/posters-1/a.jpg", "v10/source", *(f"v1/storyboard-1/{n}.jpg" for n in range(8))):
        await store.put(f"videos/{name}", b"x")
    await store.remove("videos/v1/source")
    with pytest.raises(FileNotFoundError):
        await store.read("videos/v1/source", LIMIT)
    assert await store.read("videos/v1/posters-1/a.jpg", LIMIT) == b"x"
    await store.remove("videos/v1")
    assert await folders(store, "videos/v1") == {}
    assert not await store.has_folder("videos/v1")
    await store.remove("videos/v1")
    assert await store.read("videos/v10/source", LIMIT) == b"x"


async def test_folders_are_listed_with_their_last_change(store: WritableStore) -> None:
    assert await folders(store, "videos") == {}
    before = time.time() - 5
    for number in range(7):
        await store.put(f"videos/v{number}/source", b"x")
    await store.put("videos/v1/posters-1/a.jpg", b"x")
    found = await folders(store, "videos")
    assert sorted(found) == [f"v{number}" for number in range(7)]
    assert all(before < modified < time.time() + 5 for modified in found.values())
    assert list(await folders(store, "videos/v1")) == ["posters-1"]


async def test_a_folder_is_there_with_its_first_file(store: WritableStore) -> None:
    assert not await store.has_folder("videos/v1")
    await store.put("videos/v1/posters-1/a.jpg", b"x")
    assert await store.has_folder("videos/v1")
    assert await store.has_folder("videos/v1/posters-1")
    assert not await store.has_folder("videos/v1/posters")


async def test_a_files_size_is_known(store: WritableStore) -> None:
    await write(store, "videos/v1/source", DATA)
    assert await store.size("videos/v1/source") == len(DATA)
    for missing in ("videos/v1/other", "videos/v2/source"):
        with pytest.raises(FileNotFoundError):
            await store.size(missing)


async def test_a_folder_may_have_no_file(store: WritableStore) -> None:
    before = time.time() - 5
    for _ in range(2):
        await store.add_folder("videos/v1")
        assert await store.has_folder("videos/v1")
        assert (await folders(store, "videos"))["v1"] > before
    await store.remove("videos/v1")
    assert not await store.has_folder("videos/v1")


async def test_clears_what_a_crash_left_but_nothing_recent(store: WritableStore) -> None:
    await write(store, "videos/v1/source", DATA)
    async with store.writer("videos/v2/source", LIMIT) as writer:
        await writer.write(DATA)
        assert await store.clear_unfinished(time.time() - 3600) == []
        assert len(await store.clear_unfinished(time.time() + 3600)) == 1
        with pytest.raises(OSError):  # noqa: PT011 - each store has its own text
            await writer.complete()
    assert await store.read("videos/v1/source", LIMIT) == DATA
    with pytest.raises(FileNotFoundError):
        await store.read("videos/v2/source", LIMIT)


@pytest.mark.parametrize("reference", BAD_REFERENCES)
async def test_refuses_bad_references(store: WritableStore, reference: str) -> None:
    with pytest.raises(InvalidReferenceError):
        async with store.writer(reference, LIMIT):
            pass
    for action in (
        store.put(reference, b"x"),
        store.read(reference, LIMIT),
        store.remove(reference),
        store.has_folder(reference),
        store.add_folder(reference),
        store.size(reference),
        folders(store, reference),
    ):
        with pytest.raises(InvalidReferenceError):
            await action


async def test_a_prepared_store_is_there(store: WritableStore) -> None:
    await store.prepare()
    await store.verify()
    free = await store.free_bytes()
    assert free is None or free > 0
    assert await folders(store, "videos") == {}
