"""Packs are served as films are: the same suite of ranges and preconditions, over `/lsv`."""

from __future__ import annotations

import pytest

from services.stream.tests import support
from services.stream.tests.integration import test_answers
from services.stream.tests.integration.test_answers import (
    DATA,
    harness,
    test_a_current_copy_is_not_sent_again,
    test_a_failed_precondition,
    test_a_header_given_twice_is_ignored,
    test_a_range_beyond_the_end,
    test_head_ignores_ranges,
    test_one_range,
    test_resuming_a_file_that_has_changed_begins_anew,
    test_the_probe_of_safari_gets_two_bytes,
    test_what_is_no_range_is_ignored,
)
from services.stream.tests.support import ServiceHarness, connected

__all__ = [
    "harness",
    "test_a_current_copy_is_not_sent_again",
    "test_a_failed_precondition",
    "test_a_header_given_twice_is_ignored",
    "test_a_range_beyond_the_end",
    "test_head_ignores_ranges",
    "test_one_range",
    "test_resuming_a_file_that_has_changed_begins_anew",
    "test_the_probe_of_safari_gets_two_bytes",
    "test_what_is_no_range_is_ignored",
]


def lsv_path(video_id: str) -> str:
    return f"/api/videos/{video_id}/lsv"


@pytest.fixture(autouse=True)
def _over_lsv(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (support, test_answers):
        monkeypatch.setattr(module, "stream_path", lsv_path)


@pytest.fixture
def film(harness: ServiceHarness) -> str:
    return harness.store("film.mp4", DATA, asset_kind="lsv")


async def test_several_ranges_have_no_media_type(harness: ServiceHarness, film: str) -> None:
    answer = await harness.get(film, range="bytes=0-9,100-109")
    assert answer.status == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    assert b"application/octet-stream" in answer.body
    assert DATA[100:110] in answer.body


async def test_no_cache_keeps_a_pack_and_start_is_ignored(harness: ServiceHarness, film: str) -> None:
    async with connected(harness.port) as line:
        for query in ("", "?start=5", "?start=0", "?download=1"):
            answer = await line.ask("GET", lsv_path(film) + query)
            assert answer.body == DATA
            assert answer.headers["cache-control"] == "no-store, no-transform"
            assert not {"start-applied", "content-disposition"} & answer.headers.keys()
