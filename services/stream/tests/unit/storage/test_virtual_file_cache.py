"""Virtual files are built once for all who ask, and kept by bytes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mp4 import StartBeyondEndError, UnsupportedMediaError, build
from services.stream.storage.virtual_file_cache import VirtualFiles
from services.stream.tests.support import until
from services.stream.tests.unit.storage.support import Source, children, program


@pytest.mark.parametrize("start_sec", [0, 0.5, 1, 3.3, 9.9])
async def test_a_process_builds_the_same(files: VirtualFiles, source: Source, start_sec: float) -> None:
    assert await files.get(source, start_sec) == build(source.fileno(), source.size, start_sec)


async def test_many_ask_and_it_is_built_once(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    found = await asyncio.gather(*(files.get(source, 3.3) for _ in range(50)))
    assert len({id(virtual) for virtual in found}) == 1
    assert counted == [3300]


async def test_one_key_frame_is_one_file(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    first = await files.get(source, 3.3)
    assert files.get_cached(source, 3.9) is first
    for start_sec in (3, 3.5, 3.999):
        assert await files.get(source, start_sec) is first
    assert await files.get(source, 4) is not first
    assert counted == [3300, 4000]


async def test_the_whole_is_one_file(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    at_zero = await files.get(source, 0)
    before_the_second_key = await files.get(source, 0.5)
    assert at_zero.digest == before_the_second_key.digest
    assert await files.get(source, 0) is await files.get(source, 0.9)
    assert counted == [0, 500]


async def test_another_state_of_the_file_is_another_file(
    files: VirtualFiles, source: Source, tmp_path: Path, counted: list[int]
) -> None:
    await files.get(source, 3)
    path = tmp_path / "film.mp4"
    os.utime(path, ns=(1, 1))
    await files.get(Source(path), 3)
    assert counted == [3000, 3000]


async def test_a_caller_that_leaves_cancels_no_build(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    first = asyncio.ensure_future(files.get(source, 5))
    second = asyncio.ensure_future(files.get(source, 5))
    await until(lambda: counted)
    first.cancel()
    assert (await second).start_sec == 5
    assert counted == [5000]


async def test_the_end_is_remembered(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    for start_sec in (10, 11, 10, 1e9):
        with pytest.raises(StartBeyondEndError):
            await files.get(source, start_sec)
    assert counted == [10_000]


@pytest.mark.parametrize("start_sec", [-1, float("nan")])
async def test_what_is_no_time_is_not_built(
    files: VirtualFiles, source: Source, counted: list[int], start_sec: float
) -> None:
    with pytest.raises(ValueError, match="not a time"):
        await files.get(source, start_sec)
    assert not counted


async def test_a_failure_is_not_repeated_at_once(files: VirtualFiles, tmp_path: Path, counted: list[int]) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(1000))
    source = Source(path)
    for start_sec in (1, 1, 2, 3):
        with pytest.raises(UnsupportedMediaError):
            await files.get(source, start_sec)
    # The whole is another question.
    for _ in range(2):
        with pytest.raises(UnsupportedMediaError):
            await files.get(source, 0)
    assert counted == [1000, 0]


async def test_a_failure_is_tried_again_later(
    files: VirtualFiles, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.virtual_file_cache.FAILED_SEC", 0)
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(1000))
    for _ in range(2):
        with pytest.raises(UnsupportedMediaError):
            await files.get(Source(path), 1)
    assert counted == [1000, 1000]


async def test_a_store_that_fails_is_an_error(
    files: VirtualFiles, source: Source, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    program(monkeypatch, "print('{\"errno\": 5}')")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            await files.get(source, 1)
    # It may be well again a moment later.
    assert counted == [1000, 1000]


async def test_closing_ends_what_is_under_way(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, "signal.pause()")
    files = VirtualFiles(workers=1)
    asked = [asyncio.ensure_future(files.get(source, start_sec)) for start_sec in (1, 2, 3)]
    await until(children)
    files.close()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(result, UnsupportedMediaError) for result in results)
    assert not children()


async def test_only_so_many_are_built_at_a_time(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, "signal.pause()")
    files = VirtualFiles(workers=2)
    asked = [asyncio.ensure_future(files.get(source, start_sec)) for start_sec in range(1, 6)]
    await until(lambda: len(children()) == 2)
    files.close()
    await asyncio.gather(*asked, return_exceptions=True)
    assert not children()


async def test_nothing_is_started_unasked() -> None:
    files = VirtualFiles()
    assert not children()
    files.close()
