"""What tests of play sessions share: a small Marquee, and what its viewers and its administrator do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from playwright.sync_api import BrowserContext, Page, ViewportSize

from tests.e2e.client import Client

PER_USER = 3
PASSWORD = "longer than eight"
PHONE = ViewportSize(width=390, height=844)
FITS = "document.documentElement.scrollWidth <= innerWidth"
PLAYS = "(v => !!v && !v.paused && v.readyState >= 3 && v.currentTime > 0.3)(document.querySelector('video'))"


def small_settings(idle_sec: int) -> dict[str, str]:
    """Return the settings of a Marquee with three places and a queue of two.

    Args:
        idle_sec: after how many seconds without a sign of life a session ends.
    """
    return {
        "MARQUEE_MAX_STREAMS": str(PER_USER),
        "MARQUEE_MAX_STREAMS_PER_USER": str(PER_USER),
        "MARQUEE_STREAM_QUEUE": "2",
        "MARQUEE_SESSION_IDLE_SEC": str(idle_sec),
        "MARQUEE_REGISTRATION": "open",
        "MARQUEE_RATE_LIMIT_PER_MIN": "10000",
    }


def live(boss: Client) -> list[dict[str, Any]]:
    """All play sessions of the platform."""
    answer = boss.http.get("/api/admin/streams")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def seen_at(boss: Client, session_id: str) -> datetime:
    """The last sign of life of a session, which must not be over."""
    signs = {each["session_id"]: datetime.fromisoformat(each["seen_at"]) for each in live(boss)}
    assert session_id in signs, "the session is over"
    return signs[session_id]


def watch(context: BrowserContext, video_id: str, device: str = "") -> Page:
    """A new tab with the player."""
    page = context.new_page()
    if device:
        page.goto("/")
        page.evaluate("name => localStorage.setItem('marquee.device_name', name)", device)
    page.goto(f"/watch/{video_id}")
    return page


@contextmanager
def all_taken(boss: Client, video_id: str) -> Iterator[list[str]]:
    """All places are taken, by players that send heartbeats; gives the ids of the sessions."""
    ids = []
    for number in range(PER_USER):
        request = {"video_id": video_id, "device_name": f"Cinema {number + 1}"}
        answer = boss.http.post("/api/play-sessions", json=request)
        assert answer.status_code == 201, answer.text
        ids.append(str(answer.json()["session_id"]))
    leave = threading.Event()

    def stay() -> None:
        while not leave.wait(1):
            for each in ids:
                boss.http.post(f"/api/play-sessions/{each}/heartbeat")

    audience = threading.Thread(target=stay)
    audience.start()
    try:
        yield ids
    finally:
        leave.set()
        audience.join()
