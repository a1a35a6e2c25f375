"""Concurrent viewers: each logs in, loads the list, picks a ready film, watches, seeks and saves its position.

make loadtest VIEWERS=50       needs MARQUEE_ADMIN_PASSWORD, films (make demo), and a Marquee whose
                               MARQUEE_MAX_STREAMS and MARQUEE_MAX_STREAMS_PER_USER allow that many viewers
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
    """One viewer with one player."""

    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        """Log in and choose a film."""
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
        device = f"loadtest {uuid.uuid4()}"
        answer = self.client.post("/api/play-sessions", json={"video_id": self.film["id"], "device_name": device})
        if answer.status_code != 201:  # noqa: PLR2004 - RFC 9110, 15.3.2
            raise RuntimeError(
                "no play session is granted: all viewers are one user here, so let Marquee run with"
                f" MARQUEE_MAX_STREAMS and MARQUEE_MAX_STREAMS_PER_USER as high as VIEWERS ({answer.text})"
            )
        session = answer.json()
        self.session_id: str = session["session_id"]
        self.stream_url: str = session["stream_url"]
        head = self.client.head(self.stream_url, name="/api/videos/[id]/stream")
        self.size = int(head.headers["Content-Length"])
        self.offset = 0

    def on_stop(self) -> None:
        """Stop the play session, which frees its slot."""
        if hasattr(self, "session_id"):
            self.client.delete(f"/api/play-sessions/{self.session_id}", name="/api/play-sessions/[id]")

    @task(8)
    def watch(self) -> None:
        """Fetch the next bytes; sometimes seek first."""
        if random.random() < SEEK_SHARE or self.offset >= self.size:  # noqa: S311 - a dice
            self.offset = random.randrange(self.size)  # noqa: S311 - a dice
        end = min(self.offset + BLOCK, self.size) - 1
        with self.client.get(
            self.stream_url,
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
        """Save the position, as the player does."""
        duration = self.film["duration_sec"]
        self.client.put(
            f"/api/progress/{self.film['id']}",
            json={"position": duration * self.offset / self.size, "duration": duration, "session_id": self.session_id},
            name="/api/progress/[id]",
        )

    @task(1)
    def beat(self) -> None:
        """Send the heartbeat of the play session."""
        self.client.post(f"/api/play-sessions/{self.session_id}/heartbeat", name="/api/play-sessions/[id]/heartbeat")

    @task(1)
    def browse(self) -> None:
        """Load the list again."""
        self.client.get("/api/videos")
