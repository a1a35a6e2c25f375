"""A session that ends takes what is being sent of it along, and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from services.stream.delivery.file_response import FileBody, FileSegment
from services.stream.delivery.transfers import Traffic
from services.stream.sessions import LocalSession
from services.stream.slots import Active, EndReason, Session, State
from services.stream.storage.open_files import OpenFileCache
from services.stream.tests.unit.slots.support import a_viewing
from zerocopy import EXTENSION

DATA = os.urandom(1_000_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[OpenFileCache]:
    files = OpenFileCache(tmp_path, 2, capacity=0)
    yield files
    files.close()


class Stalled:
    """A client that takes the headers and then nothing."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            self.waits.set()
            await asyncio.Event().wait()


def a_playing() -> LocalSession:
    return LocalSession(Active(Session(a_viewing(), State.ACTIVE, "r", NOW, NOW)), "")


@pytest.mark.parametrize("extensions", [{EXTENSION: {}}, {}], ids=["by the kernel", "by reading"])
async def test_it_ends_quietly_and_its_task_goes_on(
    files: OpenFileCache, tmp_path: Path, extensions: dict[str, Any]
) -> None:
    (tmp_path / "film").write_bytes(DATA)
    playing, traffic, client = a_playing(), Traffic(), Stalled()
    transfer = traffic.transfer("ann", "film", playing=playing)
    body = FileBody(200, [], await files.open(tmp_path / "film"), [FileSegment(0, len(DATA))], meter=transfer)

    async def serve() -> str:
        await body({"type": "http", "method": "GET", "extensions": extensions}, client.receive, client.send)
        await asyncio.sleep(0)
        return "the connection's next request"

    serving = asyncio.create_task(serve())
    await client.waits.wait()
    assert playing.responses == {transfer}
    waiting = asyncio.create_task(playing.quiet())
    playing.end(EndReason.STOPPED)
    async with asyncio.timeout(60):
        assert await serving == "the connection's next request"
        await waiting
    assert not playing.responses
    assert (traffic.active, traffic.total) == (0, 1)


@pytest.mark.parametrize("extensions", [{EXTENSION: {}}, {}], ids=["by the kernel", "by reading"])
async def test_a_process_that_stops_is_no_session_that_ends(
    files: OpenFileCache, tmp_path: Path, extensions: dict[str, Any]
) -> None:
    (tmp_path / "film").write_bytes(DATA)
    playing, client = a_playing(), Stalled()
    transfer = Traffic().transfer("ann", "film", playing=playing)
    body = FileBody(200, [], await files.open(tmp_path / "film"), [FileSegment(0, len(DATA))], meter=transfer)
    scope = {"type": "http", "method": "GET", "extensions": extensions}
    serving = asyncio.ensure_future(body(scope, client.receive, client.send))
    await client.waits.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert not playing.responses


async def test_bytes_and_requests_are_signs_of_life() -> None:
    playing, traffic = a_playing(), Traffic()
    playing.seen_at = 0
    transfer = traffic.transfer("ann", "film", playing=playing)
    assert playing.seen_at > 0
    playing.seen_at = 0
    transfer.begin(200)
    transfer.sent(7)
    assert (playing.seen_at > 0, playing.bytes_sent, traffic.bytes_sent) == (True, 7, 7)
    transfer.end(completed=True)
    transfer.cut_off()
    assert not playing.responses


async def test_a_failure_is_told_with_its_session() -> None:
    told: list[tuple[LocalSession, str]] = []
    traffic = Traffic(lambda playing, code, _message: told.append((playing, code)))
    playing = a_playing()
    traffic.transfer("ann", "film", playing=playing).failed("STREAM_FILE_UNAVAILABLE", "")
    traffic.transfer("ann", "film").failed("STREAM_FILE_UNAVAILABLE", "")
    assert told == [(playing, "STREAM_FILE_UNAVAILABLE")]
