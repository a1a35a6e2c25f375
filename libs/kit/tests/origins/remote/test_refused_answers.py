"""Answers of an origin that are refused, redirected or do not come."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from kit.origins import (
    OriginChangedError,
    OriginClient,
    OriginDeniedError,
    OriginError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
    RemoteFile,
)
from kit.origins.references import parse_url
from kit.testing.origin import Origin
from kit.tests.origins.conftest import Open
from kit.tests.origins.remote.support import DATA, read, read_until_it_fails


def test_labels_of_the_metric_outlive_the_names_of_the_errors() -> None:
    errors: list[type[OriginError]] = [OriginError, *OriginError.__subclasses__()]
    labels = {"OriginError", "Refused", "Missing", "Denied", "Full", "Interrupted", "Changed", "Unusable"}
    assert {error.outcome for error in errors} == labels
    assert len(errors) == len(labels)


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 1-9/300000",
        "bytes 0-10/300000",
        "bytes 0-9/299999",
        "bytes 0-9/*",
        "bytes 9-0/300000",
        "bytes 0-300000/300000",
        "items 0-9/300000",
        "nonsense",
        "bytes 0-9/99999999999999999999999",
    ],
)
async def test_parts_that_were_not_asked_for(origin: Origin, opened: Open, content_range: str) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.content_range = content_range
    with pytest.raises((OriginUnusableError, OriginChangedError)):
        await read(file, 0, 10)


async def test_parts_with_status_200(origin: Origin, opened: Open) -> None:
    """As rclone's S3 sends them."""
    origin.files["/a"] = DATA
    decide = origin._decide
    origin._decide = lambda asked: (200, *decide(asked)[1:])  # type: ignore[method-assign]
    file = await opened("/a")
    assert file.info.size == len(DATA)
    assert await read(file, 5, 10) == DATA[5:15]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, OriginDeniedError),
        (403, OriginDeniedError),
        (404, OriginMissingError),
        (410, OriginMissingError),
        (429, OriginInterruptedError),
        (500, OriginInterruptedError),
        (503, OriginInterruptedError),
        (400, OriginUnusableError),
        (204, OriginUnusableError),
        (416, OriginUnusableError),
    ],
)
async def test_statuses(origin: Origin, opened: Open, status: int, error: type[OriginError]) -> None:
    origin.status = status
    with pytest.raises(error):
        await opened("/a")


async def test_files_that_can_not_be_served(origin: Origin, opened: Open) -> None:
    origin.files = {"/empty": b"", "/a": DATA}
    with pytest.raises(OriginUnusableError, match="empty"):
        await opened("/empty")
    origin.takes_ranges = False
    with pytest.raises(OriginUnusableError, match="empty"):
        await opened("/empty")
    origin.sends_length = False
    with pytest.raises(OriginUnusableError, match="how long"):
        await opened("/a")
    origin.sends_length = origin.takes_ranges = True
    origin.etag, origin.modified = 'W/"weak"', None
    with pytest.raises(OriginUnusableError, match="change"):
        await opened("/a")
    origin.etag, origin.fields = "", {"Content-Encoding": "gzip"}
    with pytest.raises(OriginUnusableError, match="compress"):
        await opened("/a")


async def test_redirects_are_followed_a_few_times(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    origin.redirects = {"/3": "/2", "/2": "/1", "/1": "/a", "/4": "/3", "/loop": "/loop"}
    assert await read(await opened("/3"), 10, 10) == DATA[10:20]
    for path in ("/4", "/loop"):
        with pytest.raises(OriginUnusableError):
            await opened(path)


async def test_an_origin_that_hangs_takes_only_its_time(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.hangs = asyncio.Event()
    began = time.monotonic()
    with pytest.raises(OriginInterruptedError, match="in time"):
        await opened("/a")
    assert time.monotonic() - began < 10
    origin.hangs, origin.hangs_after = None, 100_000
    got, error = await read_until_it_fails(file)
    assert isinstance(error, OriginInterruptedError)
    assert DATA.startswith(got)
    assert len(got) > 50_000


async def test_waiting_for_one_origin_delays_no_request_to_another(
    origin: Origin, client: OriginClient, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.origins.client.PER_ORIGIN", 2)
    origin.files["/a"] = DATA
    async with Origin({"/a": DATA}, hangs=asyncio.Event()) as other:
        waiting = [
            asyncio.ensure_future(RemoteFile.open(partial(client.get, parse_url(other.url("/a"))))) for _ in range(8)
        ]
        async with asyncio.timeout(60):
            while len(other.asked) < 2:  # noqa: ASYNC110 - nothing tells when it happens
                await asyncio.sleep(0)
        assert await read(await opened("/a")) == DATA
        # No more than its share is under way.
        assert len(other.asked) == 2
        assert not any(task.done() for task in waiting)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, OriginInterruptedError) for result in results)
