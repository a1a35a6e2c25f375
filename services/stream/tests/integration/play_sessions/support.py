"""Play sessions over HTTP."""

from __future__ import annotations

import os
from typing import Any

from services.stream.tests.support import Answer, ServiceHarness

DATA = os.urandom(600_000)
SESSIONS = "/api/play-sessions"
LIMITS = {"max_streams": 4, "max_streams_per_user": 2, "stream_queue": 2}


async def start(harness: ServiceHarness, film: str, user: str = "viewer", **body: Any) -> Answer:
    return await harness.call("POST", SESSIONS, {"video_id": film} | body, x_test_user=user)


async def fill(harness: ServiceHarness, film: str) -> list[str]:
    """Take every free slot, each for another user; return the sessions."""
    ids: list[str] = []
    while (answer := await start(harness, film, f"filler-{len(ids)}")).status == 201:
        ids.append(answer.json()["session_id"])
    await harness.call("DELETE", f"{SESSIONS}/{answer.json()['session_id']}", x_test_user=f"filler-{len(ids)}")
    return ids


async def sessions_of(harness: ServiceHarness, user: str = "viewer") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await harness.call("GET", SESSIONS, x_test_user=user)).json()["items"]
    return listed
