"""Clients without a player: film after film, names to save them under, and tickets whose session is over."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.stream.tests.support import AUTHORISED, ServiceHarness, connected, fetch, run, running, stream_path, url

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(300_000)
SESSIONS = "/api/play-sessions"
LIMIT = 3


@pytest.fixture
async def harness(store: Path, sockets: Path) -> AsyncIterator[ServiceHarness]:
    async with running(store, sockets, max_streams=10, max_streams_per_user=LIMIT) as harness:
        yield harness


@pytest.mark.parametrize("asked", ["", "0-", "0-9"])
async def test_fetches_film_after_film(harness: ServiceHarness, tmp_path: Path, asked: str) -> None:
    films = [harness.store(f"film-{number}.mp4", DATA) for number in range(2 * LIMIT + 1)]
    ranges = ("-r", asked) if asked else ()
    for film in films:
        await run("curl", "-sSf", *ranges, "-H", AUTHORISED, "-o", tmp_path / film, url(harness, film))
        assert (tmp_path / film).read_bytes() == (DATA[:10] if asked == "0-9" else DATA)
    assert len((await harness.call("GET", SESSIONS)).json()["items"]) == LIMIT


async def test_what_is_open_or_broken_off_does_not_give_way(harness: ServiceHarness) -> None:
    films = [harness.sparse(f"large-{number}.mp4", 200_000_000) for number in range(LIMIT + 1)]
    async with (
        connected(harness.port, receive_buffer=4096) as first,
        connected(harness.port, receive_buffer=4096) as second,
    ):
        for line, film in zip((first, second), films, strict=False):
            line.send("GET", stream_path(film), user_agent="x")
            assert (await line.head()).status == 200
        async with connected(harness.port) as third:
            third.send("GET", stream_path(films[2]), user_agent="x")
            assert (await third.head()).status == 200
        assert (await harness.get(films[3], user_agent="x", range="bytes=0-9")).status == 429


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (
            "가족 \u202eCafé/1",
            "attachment; filename=\"_ Cafe_1.mp4\"; filename*=UTF-8''%EA%B0%80%EC%A1%B1%20Caf%C3%A9_1.mp4",
        ),
        ('a"\r\nSet-Cookie: x', 'attachment; filename="a_ Set-Cookie_ x.mp4"'),
    ],
)
async def test_download_has_the_title_as_its_name(harness: ServiceHarness, title: str, expected: str) -> None:
    film = harness.store("film.mp4", DATA)
    harness.catalog.titles[film] = title
    for method in ("GET", "HEAD"):
        answer, _ = await fetch(harness, f"{stream_path(film)}?download=1", method)
        assert (answer.status, answer.headers["content-disposition"]) == (200, expected)
    part, _ = await fetch(harness, f"{stream_path(film)}?download=1", range="bytes=0-9")
    assert (part.status, part.headers["content-disposition"]) == (206, expected)
    assert "content-disposition" not in (await fetch(harness, stream_path(film)))[0].headers
    assert (await fetch(harness, f"{stream_path(film)}?download=2"))[0].status == 422


async def test_curl_saves_a_download_under_its_title(harness: ServiceHarness, tmp_path: Path) -> None:
    film = harness.store("film.mp4", DATA)
    harness.catalog.titles[film] = "Summer: the film"
    await run("curl", "-sSfOJ", "--output-dir", tmp_path, "-H", AUTHORISED, f"{url(harness, film)}?download=1")
    assert (tmp_path / "Summer_ the film.mp4").read_bytes() == DATA


@pytest.mark.parametrize("is_met", [True, False])
async def test_ticket_of_session_that_is_over_opens_nothing(harness: ServiceHarness, *, is_met: bool) -> None:
    film = harness.store("film.mp4", DATA)
    session = (await harness.call("POST", SESSIONS, {"video_id": film})).json()
    requests = [("GET", ""), ("HEAD", ""), ("GET", "/info")]
    paths = [(method, f"{stream_path(film)}{rest}?ticket={session['ticket']}") for method, rest in requests]
    if is_met:
        for method, path in paths * 2:
            assert (await fetch(harness, path, method, x_test_user=""))[0].status == 200
    assert (await harness.call("DELETE", f"{SESSIONS}/{session['session_id']}")).status == 204
    for method, path in paths:
        assert (await fetch(harness, path, method, x_test_user=""))[0].status == 404
