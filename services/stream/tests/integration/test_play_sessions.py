"""Play sessions over HTTP: what each route answers, and what a session's bytes depend on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kit.testing.fakes import event_of
from marquee.events.v1 import user_pb2
from services.stream.tests.support import Answer, Stage, connected, fetch, running, stream_path, until

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(600_000)
SESSIONS = "/api/play-sessions"
LIMITS = {"max_streams": 4, "max_streams_per_user": 2, "stream_queue": 2}


@pytest.fixture
async def stage(store: Path, sockets: Path) -> AsyncIterator[Stage]:
    async with running(store, sockets, **LIMITS) as stage:
        yield stage


@pytest.fixture
def film(stage: Stage) -> str:
    return stage.store("film.mp4", DATA)


async def start(stage: Stage, film: str, user: str = "viewer", **body: Any) -> Answer:
    return await stage.call("POST", SESSIONS, {"video_id": film} | body, x_test_user=user)


async def fill(stage: Stage, film: str) -> list[str]:
    """Takes every slot that is free, each for another user; answers the sessions."""
    ids = []
    while (answer := await start(stage, film, f"filler-{len(ids)}")).status == 201:
        ids.append(answer.json()["session_id"])
    await stage.call("DELETE", f"{SESSIONS}/{answer.json()['session_id']}", x_test_user=f"filler-{len(ids)}")
    return ids


async def sessions_of(stage: Stage, user: str = "viewer") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await stage.call("GET", SESSIONS, x_test_user=user)).json()["items"]
    return listed


async def test_a_session_has_a_url_that_needs_no_login(stage: Stage, film: str) -> None:
    answer = await start(stage, film, device_name="거실 TV")
    assert answer.status == 201
    session = answer.json()
    assert session | {"status": "active", "video_id": film, "device_name": "거실 TV"} == session
    assert (session["heartbeat_sec"], session["idle_sec"]) == (10, 30)
    assert session["stream_url"] == f"{stream_path(film)}?ticket={session['ticket']}"
    played = await stage.call("GET", session["stream_url"], x_test_user="", range="bytes=5-9")
    assert (played.status, played.body) == (206, DATA[5:10])
    again, is_short = await fetch(stage, session["stream_url"], x_test_user="", range="bytes=7-9")
    assert (again.body, is_short) == (DATA[7:10], True)
    (mine,) = await sessions_of(stage)
    assert mine["session_id"] == session["session_id"]
    assert "ticket" not in mine
