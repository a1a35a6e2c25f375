"""One request of each kind that a viewer, an uploader and an administrator send, and how it was answered."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.client import HEADERS, Client
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD

WAIT_SEC = 60
"""Bounds a request that hangs; a request is never given up before that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request got."""

    name: str
    status: int
    """0: no answer came."""
    seconds: float
    body: Any
    headers: httpx.Headers

    @property
    def error(self) -> dict[str, Any]:
        """The error, if it is one of ours."""
        return dict(self.body.get("error", {})) if isinstance(self.body, dict) else {}

    @property
    def dependency(self) -> str:
        """What the answer says is away."""
        return str(self.error.get("details", {}).get("dependency", ""))

    @property
    def is_refused(self) -> bool:
        """Whether it is an error; the play session may have expired meanwhile."""
        return self.status >= 400 and not (self.status == 404 and self.name in OF_SESSION)

    def __str__(self) -> str:
        """Return one line for a failed assertion."""
        return f"{self.name}: {self.status} after {self.seconds:.1f} s {self.error or ''}"


class Driver:
    """Sends requests about one film; log in and upload before anything is away.

    Args:
        base_url: of a healthy Marquee.
        film: a small film.
    """

    def __init__(self, base_url: str, film: Path) -> None:
        self._film = film.read_bytes()
        self.admin = Client(base_url)
        self.video_id = self.admin.upload(film, "away")
        self.admin.await_artwork(self.video_id)
        self.trashed_id = self.admin.upload(film, "trashed")
        self.admin.await_status(self.trashed_id, "ready")
        assert self.admin.http.delete(f"/api/videos/{self.trashed_id}").status_code == 204
        self._http = httpx.Client(base_url=base_url, timeout=WAIT_SEC, headers=HEADERS, cookies=self.admin.http.cookies)
        self.session_id = self.stream_url = ""
        self.start_session()

    def start_session(self) -> None:
        """Start the play session of the requests that need one, which lasts for one idle time."""
        session = self._require("POST", "/api/play-sessions", json={"video_id": self.video_id})
        self.session_id, self.stream_url = str(session["session_id"]), str(session["stream_url"])

    def close(self) -> None:
        """End the connections."""
        self.admin.close()
        self._http.close()

    def _require(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self.admin.http.request(method, path, **options)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def send(self, name: str) -> Answer:
        """Send one request by its name in `REQUESTS`."""
        method, path, options = REQUESTS[name](self)
        started = time.monotonic()
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            return Answer(name, 0, time.monotonic() - started, repr(error), httpx.Headers())
        body: Any = None
        with suppress(ValueError):
            body = answer.json()
        return Answer(name, answer.status_code, time.monotonic() - started, body, answer.headers)

    def send_all(self) -> Iterator[Answer]:
        """Send each once."""
        for name in REQUESTS:
            yield self.send(name)

    def film(self) -> bytes:
        """Return the film, as bytes that no upload had."""
        return self._film + uuid.uuid4().bytes


OF_SESSION = frozenset({"heartbeat", "range with ticket"})
Request = tuple[str, str, dict[str, Any]]


def _json(method: str, path: str, body: dict[str, Any] | None = None) -> Callable[[Driver], Request]:
    """Return what makes a request; `{video}` in the path, and a `video_id` of the body, become the driver's film."""

    def make(driver: Driver) -> Request:
        there = path.format(video=driver.video_id, trashed=driver.trashed_id, session=driver.session_id)
        if body is None:
            return method, there, {}
        return method, there, {"json": {**body, "video_id": driver.video_id} if "video_id" in body else body}

    return make


REQUESTS: dict[str, Callable[[Driver], Request]] = {
    "login": _json("POST", "/api/auth/login", {"login_id": ADMIN_LOGIN, "password": ADMIN_PASSWORD}),
    "register": lambda _: (
        "POST",
        "/api/auth/register",
        {"json": {"login_id": f"u{uuid.uuid4().hex[:12]}", "password": "longer than eight", "display_name": "U"}},
    ),
    "account": _json("GET", "/api/users/me"),
    "list": _json("GET", "/api/videos"),
    "home": _json("GET", "/api/home"),
    "search": _json("GET", "/api/search?q=away"),
    "video": _json("GET", "/api/videos/{video}"),
    "edit": _json("PATCH", "/api/videos/{video}", {"description": "edited"}),
    "restore": _json("POST", "/api/videos/{trashed}/restore"),
    "trash": _json("DELETE", "/api/videos/{trashed}"),
    "upload": lambda driver: ("POST", "/api/videos", {"files": {"file": ("f.mp4", driver.film(), "video/mp4")}}),
    "begin upload": lambda _: (
        "POST",
        "/api/uploads",
        {"headers": {"Tus-Resumable": "1.0.0", "Upload-Length": "1000", "Upload-Metadata": "filename Zi5tcDQ="}},
    ),
    "subtitles": _json("GET", "/api/videos/{video}/subtitles"),
    "highlight": _json("POST", "/api/videos/{video}/highlights", {"start": 0.5, "end": 1, "title": "a"}),
    "watch later": _json("PUT", "/api/users/me/watchlist/{video}"),
    "save progress": _json("PUT", "/api/progress/{video}", {"position": 1.5, "duration": 2}),
    "read progress": _json("GET", "/api/progress/{video}"),
    "mark watched": _json("POST", "/api/videos/{video}/progress", {"position_sec": 1.0}),
    "history": _json("GET", "/api/users/me/history"),
    "bookmark": _json("POST", "/api/users/me/bookmarks", {"video_id": "", "position_sec": 1.0}),
    "points": _json("GET", "/api/users/me/points"),
    "view log": _json("GET", "/api/admin/views"),
    "start session": _json("POST", "/api/play-sessions", {"video_id": ""}),
    "heartbeat": _json("POST", "/api/play-sessions/{session}/heartbeat", {}),
    "range with ticket": lambda driver: ("GET", driver.stream_url, {"headers": {"Range": "bytes=0-99"}}),
    "range with Basic": lambda driver: (
        "GET",
        f"/api/videos/{driver.video_id}/stream",
        {"auth": (ADMIN_LOGIN, ADMIN_PASSWORD), "headers": {"Range": "bytes=0-99"}},
    ),
    "streams": _json("GET", "/api/admin/streams"),
}
