"""Tickets and answers of catalog name assets; those from before assets still open the source of a video."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kit.ids import new_id
from kit.testing.fakes import event_of
from marquee.events.v1 import video_pb2
from services.stream.http import StreamAuthenticator
from services.stream.sessions.tickets import Tickets
from services.stream.tests.support import ServiceHarness, asset_of, fetch, running, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")
DATA = os.urandom(1000)


@pytest.fixture
async def harness(store: Path, sockets: Path) -> AsyncIterator[ServiceHarness]:
    async with running(store, sockets) as harness:
        yield harness


def tickets_of(harness: ServiceHarness) -> Tickets:
    authenticator = harness.service.app.state.authenticate
    assert isinstance(authenticator, StreamAuthenticator)
    return authenticator.tickets


async def ticket_for(harness: ServiceHarness, film: str, asset_id: str) -> str:
    """Start a session, and return a ticket of it that names an asset."""
    session = (await harness.call("POST", "/api/play-sessions", {"video_id": film})).json()
    tickets = tickets_of(harness)
    return tickets.issue(replace(tickets.verify(session["ticket"]), asset_id=asset_id))


async def test_refuses_a_ticket_of_another_asset_on_every_path(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    path = f"{stream_path(film)}?ticket={await ticket_for(harness, film, new_id())}"
    # The film and the session are in memory by then: the fast path could answer.
    for _ in range(2):
        assert (await fetch(harness, stream_path(film)))[0].status == 200
    for _ in range(3):
        answer, _ = await fetch(harness, path, x_test_user="")
        assert (answer.status, answer.code) == (401, "AUTH_INVALID_TOKEN")
    info = await harness.call("GET", path.replace("/stream", "/stream/info"), x_test_user="")
    assert (info.status, info.code) == (401, "AUTH_INVALID_TOKEN")


async def test_a_ticket_that_names_the_source_opens_it_on_every_path(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    path = f"{stream_path(film)}?ticket={await ticket_for(harness, film, asset_of(film))}"
    answers = [await fetch(harness, path, x_test_user="") for _ in range(3)]
    assert {answer.body for answer, _ in answers} == {DATA}
    assert [is_short for _, is_short in answers][-1]


async def test_serves_what_a_catalog_from_before_assets_answers(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA, asset_id="", asset_kind="")
    session = (await harness.call("POST", "/api/play-sessions", {"video_id": film})).json()
    answers = [await fetch(harness, session["stream_url"], x_test_user="") for _ in range(3)]
    assert {answer.body for answer, _ in answers} == {DATA}
    assert [is_short for _, is_short in answers][-1]


async def test_a_source_replaced_by_another_asset_is_served_after_the_event(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    session = (await harness.call("POST", "/api/play-sessions", {"video_id": film})).json()
    await fetch(harness, session["stream_url"], x_test_user="")
    (harness.root / "new.mp4").write_bytes(DATA[::-1])
    answer = harness.catalog.sources[film]
    answer.reference, answer.asset_id, answer.version = "new.mp4", new_id(), 2
    await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
    for _ in range(2):
        latest, _ = await fetch(harness, session["stream_url"], x_test_user="")
        assert (latest.status, latest.body) == (200, DATA[::-1])
