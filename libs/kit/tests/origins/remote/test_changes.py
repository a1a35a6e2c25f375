"""Bytes of two states of a remote file are never mixed."""

from __future__ import annotations

import time
from contextlib import aclosing

import pytest

from kit.origins import OriginChangedError
from kit.origins import remote as module
from kit.testing.origin import MODIFIED, Origin
from kit.tests.origins.conftest import Open
from kit.tests.origins.remote.support import DATA, read


async def test_the_state_is_the_same_to_everybody_and_changes_with_the_file(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    states = {(await opened("/a")).info.state for _ in range(2)}
    origin.files["/a"] = DATA[::-1]
    states.add((await opened("/a")).info.state)
    origin.modified = MODIFIED + 1
    states.add((await opened("/a")).info.state)
    assert len(states) == 3


@pytest.mark.parametrize("etag", ["", 'W/"weak"', None])
async def test_bytes_of_two_states_are_never_mixed(origin: Origin, opened: Open, etag: str | None) -> None:
    origin.files["/a"] = DATA
    origin.etag = etag
    file = await opened("/a")
    assert await read(file, 0, 1000) == DATA[:1000]
    origin.files["/a"] = DATA[::-1]
    origin.modified = MODIFIED + 10
    with pytest.raises(OriginChangedError):
        await read(file, 1000, 1000)
    assert not file.is_validated()
    assert await read(await opened("/a")) == DATA[::-1]


async def test_a_change_while_a_body_is_resumed(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.breaks_off_after, origin.breaks_off_times = 100_000, 1
    async with aclosing(file.blocks(0, len(DATA))) as blocks:
        got = await anext(blocks)
        origin.files["/a"] = DATA[::-1]
        with pytest.raises(OriginChangedError):
            got += b"".join([block async for block in blocks])
    assert DATA.startswith(got)


async def test_freshness_ends_and_is_renewed_by_reading(
    origin: Origin, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    assert file.is_validated()
    now = time.monotonic()
    monkeypatch.setattr("kit.origins.remote.time.monotonic", lambda: now + module.FRESH_SEC + 1)
    assert not file.is_validated()
    await read(file, 0, 1)
    assert file.is_validated()
