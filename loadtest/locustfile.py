"""Concurrent viewers: each logs in, looks at the list, picks a ready film, watches, seeks and saves its position.

make loadtest VIEWERS=50       needs MARQUEE_ADMIN_PASSWORD, and films (make demo)
"""

from __future__ import annotations

import os
import random
import uuid
from typing import Any

from locust import HttpUser, between, task

BLOCK = 1 << 20
SEEK_SHARE = 0.3


class Viewer(HttpUser):
    """One person in front of one screen."""

    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        """Logs in and chooses a film."""
        login = os.environ.get("MARQUEE_ADMIN_LOGIN", "admin")
        self.client.headers["X-Requested-With"] = "marquee-loadtest"
        self.client.post(
            "/api/auth/login", json={"login_id": login, "password": os.environ["MARQUEE_ADMIN_PASSWORD"]}
        ).raise_for_status()
        films = self.client.get("/api/videos?page_size=100").json()["items"]
        ready = [film for film in films if film["status"] == "ready"]
        if not ready:
            raise RuntimeError("there are no films to watch: run make demo first")
        self.film: dict[str, Any] = random.choice(ready)  # noqa: S311 - which film is no secret
        info = self.client.get(f"/api/videos/{self.film['id']}/stream/info", name="/api/videos/[id]/stream/info").json()
        self.size: int = info["file_size"]
        self.offset = 0
        self.session_id = str(uuid.uuid4())

    @task(8)
    def watch(self) -> None:
        """Fetches what comes next; now and then the viewer seeks first."""
        if random.random() < SEEK_SHARE or self.offset >= self.size:  # noqa: S311 - a dice
            self.offset = random.randrange(self.size)  # noqa: S311 - a dice
        end = min(self.offset + BLOCK, self.size) - 1
        with self.client.get(
            f"/api/videos/{self.film['id']}/stream",
            headers={"Range": f"bytes={self.offset}-{end}"},
            name="/api/videos/[id]/stream",
            catch_response=True,
        ) as answer:
            expected = end - self.offset + 1
            if answer.status_code != 206 or len(answer.content) != expected:  # noqa: PLR2004 - RFC 9110, 15.3.7
                answer.failure(f"{answer.status_code}, {len(answer.content)} bytes instead of {expected}")
        self.offset = end + 1

    @task(1)
    def save_position(self) -> None:
        """Tells how far the viewer has come, as the player does."""
        duration = self.film["duration_sec"]
        self.client.put(
            f"/api/progress/{self.film['id']}",
            json={"position": duration * self.offset / self.size, "duration": duration, "session_id": self.session_id},
            name="/api/progress/[id]",
        )

    @task(1)
    def browse(self) -> None:
        """Looks at the list again."""
        self.client.get("/api/videos")
