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
from services.stream.tests.unit.slots.support import a_request
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


def a_local_session() -> LocalSession:
    return LocalSession(Active(Session(a_request(), State.ACTIVE, "r", NOW, NOW)), "")


@pytest.mark.parametrize("extensions", [{EXTENSION: {}}, {}], ids=["by the kernel", "by reading"])
async def test_cut_off_response_ends_and_its_task_continues(
    files: OpenFileCache, tmp_path: Path, extensions: dict[str, Any]
) -> None:
    (tmp_path / "film").write_bytes(DATA)
    local_session, traffic, client = a_local_session(), Traffic(), Stalled()
    transfer = traffic.transfer("ann", "film", local_session=local_session)
    body = FileBody(200, [], await files.open(tmp_path / "film"), [FileSegment(0, len(DATA))], meter=transfer)

    async def serve() -> str:
        await body({"type": "http", "method": "GET", "extensions": extensions}, client.receive, client.send)
        await asyncio.sleep(0)
        return "the connection's next request"

    serving = asyncio.create_task(serve())
    await client.waits.wait()
    assert local_session.responses == {transfer}
    waiting = asyncio.create_task(local_session.wait_until_idle())
    local_session.end(EndReason.STOPPED)
    async with asyncio.timeout(60):
        assert await serving == "the connection's next request"
        await waiting
    assert not local_session.responses
    assert (traffic.active, traffic.total) == (0, 1)


@pytest.mark.parametrize("extensions", [{EXTENSION: {}}, {}], ids=["by the kernel", "by reading"])
async def test_a_process_that_stops_is_no_session_that_ends(
    files: OpenFileCache, tmp_path: Path, extensions: dict[str, Any]
) -> None:
    (tmp_path / "film").write_bytes(DATA)
    local_session, client = a_local_session(), Stalled()
    transfer = Traffic().transfer("ann", "film", local_session=local_session)
    body = FileBody(200, [], await files.open(tmp_path / "film"), [FileSegment(0, len(DATA))], meter=transfer)
    scope = {"type": "http", "method": "GET", "extensions": extensions}
    serving = asyncio.ensure_future(body(scope, client.receive, client.send))
    await client.waits.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert not local_session.responses


async def test_bytes_and_requests_are_signs_of_life() -> None:
    local_session, traffic = a_local_session(), Traffic()
    local_session.seen_at = 0
    transfer = traffic.transfer("ann", "film", local_session=local_session)
    assert local_session.seen_at > 0
    local_session.seen_at = 0
    transfer.begin(200)
    transfer.sent(7)
    assert (local_session.seen_at > 0, local_session.bytes_sent, traffic.bytes_sent) == (True, 7, 7)
    transfer.end(completed=True)
    transfer.cut_off()
    assert not local_session.responses


async def test_failure_is_reported_with_its_session() -> None:
    reported: list[tuple[LocalSession, str]] = []
    traffic = Traffic(lambda local_session, code, _message: reported.append((local_session, code)))
    local_session = a_local_session()
    traffic.transfer("ann", "film", local_session=local_session).failed("STREAM_FILE_UNAVAILABLE", "")
    traffic.transfer("ann", "film").failed("STREAM_FILE_UNAVAILABLE", "")
    assert reported == [(local_session, "STREAM_FILE_UNAVAILABLE")]
