"""A viewer's or an administrator's HTTP client, and the films they use."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, Stack, wait_for

HEADERS = {"X-Requested-With": "marquee-tests"}


class Client:
    """A client that is logged in."""

    def __init__(self, base_url: str, login: str = ADMIN_LOGIN, password: str = ADMIN_PASSWORD) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=120, headers=HEADERS)
        answer = self.http.post("/api/auth/login", json={"login_id": login, "password": password})
        assert answer.status_code == 200, answer.text
        self.user: dict[str, Any] = answer.json()["user"]
        self.token: str = answer.json()["access_token"]

    def upload(self, path: Path, title: str | None = None) -> str:
        """Uploads a film; answers its id."""
        with path.open("rb") as file:
            fields = {"title": title} if title else {}
            answer = self.http.post("/api/videos", data=fields, files={"file": (path.name, file, "video/mp4")})
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "processing"
        return str(answer.json()["id"])

    def video(self, video_id: str) -> dict[str, Any]:
        """A video's facts."""
        answer = self.http.get(f"/api/videos/{video_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def await_status(self, video_id: str, status: str, limit_sec: float = 180) -> dict[str, Any]:
        """Waits until a video is ready or failed, as it should be."""

        def settled() -> bool:
            try:
                return bool(self.video(video_id)["status"] != "processing")
            except (httpx.HTTPError, AssertionError):
                return False

        wait_for(settled, limit_sec, f"video {video_id} to be {status}")
        video = self.video(video_id)
        assert video["status"] == status, video
        return video

    def await_artwork(self, video_id: str, limit_sec: float = 180) -> dict[str, Any]:
        """Waits until a video that can be watched has all its pictures."""
        self.await_status(video_id, "ready", limit_sec)

        def has_all() -> bool:
            try:
                video = self.video(video_id)
            except (httpx.HTTPError, AssertionError):
                return False
            return bool(video["thumbnail_url"] and video["posters"] and video["storyboard_url"])

        wait_for(has_all, limit_sec, f"artwork of video {video_id}")
        return self.video(video_id)

    def close(self) -> None:
        """Ends the connections."""
        self.http.close()


def new_member(stack: Stack, login: str) -> Client:
    """A member who registered and whom the administrator approved."""
    answer = httpx.post(
        f"{stack.base_url}/api/auth/register",
        json={"login_id": login, "password": "longer than eight", "display_name": login.title()},
        timeout=120,
    )
    assert answer.status_code == 201, answer.text
    if answer.json()["status"] == "pending":
        admin = Client(stack.base_url)
        approved = admin.http.post(f"/api/users/{answer.json()['id']}/approve")
        assert approved.status_code == 200, approved.text
        admin.close()
    return Client(stack.base_url, login, "longer than eight")


def make_film(path: Path, seconds: int = 12, *, faststart: bool = True, source: str = "testsrc2") -> Path:
    """A small real film, H.264 and AAC, with a key frame each second."""
    subprocess.run(
        [
            "ffmpeg", "-v", "error", "-y",
            "-f", "lavfi", "-i", f"{source}=size=640x360:rate=25",
            "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000",
            "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p",
            "-c:a", "aac", *(["-movflags", "+faststart"] if faststart else []), str(path),
        ],
        check=True,
    )  # fmt: skip
    return path


def make_huge_film(small: Path, path: Path, size: int) -> Path:
    """A real film followed by a `free` box (ISO/IEC 14496-12, 8.1.2) up to `size` bytes; the file is sparse."""
    content = small.read_bytes()
    with path.open("wb") as file:
        file.write(content)
        file.write(struct.pack(">I4sQ", 1, b"free", size - len(content)))
        file.truncate(size)
    return path
