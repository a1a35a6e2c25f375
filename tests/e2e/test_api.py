"""What an operator and a viewer can do over HTTP, whichever way Marquee runs."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.client import HEADERS, Client, new_member
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, REPOSITORY, Stack, wait_for

PUBLIC = {
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/check"),
    ("POST", "/api/auth/token"),
    ("POST", "/api/auth/reset"),
    ("GET", "/api/health"),
    ("POST", "/api/play-sessions/{session_id}/end"),
}
OWN_PROOF = {"/api/auth/refresh", "/api/play-sessions/{session_id}/end"}
"""Public in that no login is asked for: what they need comes with them."""


@pytest.fixture(scope="module")
def video(admin: Client, film: Path) -> dict[str, Any]:
    """A film that is ready."""
    return admin.await_artwork(admin.upload(film, "Night Train"))


def test_upload_becomes_film_with_metadata_and_thumbnail(admin: Client, video: dict[str, Any], film: Path) -> None:
    assert video["title"] == "Night Train"
    assert video["duration_sec"] == pytest.approx(12, abs=0.2)
    assert (video["width"], video["height"], video["mime_type"]) == (640, 360, "video/mp4")
    assert video["files"][0]["size"] == film.stat().st_size
    picture = admin.http.get(video["thumbnail_url"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert picture.headers["vary"] == "Accept"
    plain = f"/api/videos/{video['id']}/thumbnail"
    again = admin.http.get(plain, headers={"If-None-Match": picture.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "private, no-cache")
    assert again.headers["vary"] == "Accept, Authorization, Cookie"
    webp = admin.http.get(plain, headers={"Accept": "image/webp"})
    assert (webp.headers["content-type"], webp.content[8:12]) == ("image/webp", b"WEBP")
    image = Image.open(io.BytesIO(picture.content))
    assert image.size == (320, 180)
    listed = admin.http.get("/api/videos", params={"query": "night"}).json()
    # Other tests' films are in the same place.
    assert video["id"] in [item["id"] for item in listed["items"]]
    nothing = admin.http.get("/api/videos", params={"query": f"night {video['id']}"}).json()
    assert nothing["items"] == []


def test_storyboard_covers_the_film(admin: Client, video: dict[str, Any]) -> None:
    cues = admin.http.get(video["storyboard_url"])
    assert cues.headers["content-type"].startswith("text/vtt")
    last = cues.text.strip().rpartition("\n")[2]
    url, _, area = last.partition("#xywh=")
    assert cues.text.count("-->") == 12
    with Image.open(io.BytesIO(admin.http.get(url).content)) as sheet:
        x, y, width, height = map(int, area.split(","))
        assert (width, height) == (160, 90)
        assert x + width <= sheet.width
        assert y + height <= sheet.height


def test_streamed_bytes_equal_the_file(admin: Client, video: dict[str, Any], film: Path) -> None:
    content = film.read_bytes()
    url = f"/api/videos/{video['id']}/stream"
    whole = admin.http.get(url)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert whole.content == content
    head = admin.http.head(url)
    assert (head.status_code, int(head.headers["content-length"]), head.content) == (200, len(content), b"")
    for asked, expected in (
        ("bytes=0-1", content[:2]),
        ("bytes=100-", content[100:]),
        ("bytes=-77", content[-77:]),
        (f"bytes=10-{len(content) * 2}", content[10:]),
    ):
        part = admin.http.get(url, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, expected), asked
        assert re.fullmatch(rf"bytes \d+-\d+/{len(content)}", part.headers["content-range"])
    beyond = admin.http.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert beyond.json()["error"]["code"] == "STREAM_RANGE_INVALID"
    # As the specifications spell it (apps/marquee/aliases.py).
    for alias in (
        f"/api/stream/{video['id']}",
        f"/v1/videos/stream/{video['id']}",
        f"/api/contents/{video['id']}/stream",
    ):
        part = admin.http.get(alias, headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, content[5:10]), alias
        assert admin.http.head(alias).headers["etag"] == whole.headers["etag"]
    unchanged = admin.http.get(url, headers={"If-None-Match": whole.headers["etag"]})
    assert unchanged.status_code == 304


def test_twenty_concurrent_viewers_get_correct_bytes(
    stack: Stack, admin: Client, video: dict[str, Any], film: Path, slow_start_film: Path
) -> None:
    other = admin.await_status(admin.upload(slow_start_film), "ready")
    assert other["title"] == "늦은 색인"
    films = {video["id"]: film.read_bytes(), other["id"]: slow_start_film.read_bytes()}

    def watch(viewer: int) -> None:
        dice = random.Random(viewer)
        video_id = dice.choice(sorted(films))
        content = films[video_id]
        with httpx.Client(base_url=stack.base_url, auth=(ADMIN_LOGIN, ADMIN_PASSWORD), timeout=60) as http:
            for _ in range(10):
                start = dice.randrange(len(content))
                end = min(start + dice.randrange(1, 400_000), len(content) - 1)
                answer = http.get(f"/api/videos/{video_id}/stream", headers={"Range": f"bytes={start}-{end}"})
                assert answer.status_code == 206
                assert answer.content == content[start : end + 1]
            whole = http.get(f"/api/videos/{video_id}/stream")
            assert hashlib.sha256(whole.content).digest() == hashlib.sha256(content).digest()

    with ThreadPoolExecutor(20) as viewers:
        list(viewers.map(watch, range(20)))


def test_stream_info(admin: Client, video: dict[str, Any], film: Path) -> None:
    info = admin.http.get(f"/api/videos/{video['id']}/stream/info").json()
    assert info["codecs"] == {"video": "H.264", "audio": "AAC"}
    assert info["resolution"] == {"width": 640, "height": 360}
    assert info["file_size"] == film.stat().st_size


def test_real_players_can_read_it(stack: Stack, video: dict[str, Any], film: Path, tmp_path: Path) -> None:
    url = f"{stack.base_url}/api/videos/{video['id']}/stream"
    credentials = base64.b64encode(f"{ADMIN_LOGIN}:{ADMIN_PASSWORD}".encode()).decode()
    probed = subprocess.run(
        [
            "ffprobe", "-v", "error", "-show_format", "-of", "json",
            "-headers", f"Authorization: Basic {credentials}\r\n", url,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    assert float(json.loads(probed.stdout)["format"]["duration"]) == pytest.approx(12, abs=0.2)
    part = tmp_path / "part.mp4"
    part.write_bytes(film.read_bytes()[:5000])
    subprocess.run(
        ["curl", "-fsS", "-u", f"{ADMIN_LOGIN}:{ADMIN_PASSWORD}", "-C", "-", "-o", str(part), url],
        check=True,
    )
    assert part.read_bytes() == film.read_bytes()


def test_progress_is_kept_across_logins(stack: Stack, admin: Client, video: dict[str, Any]) -> None:
    viewer = new_member(stack, "viewer")
    path = f"/api/progress/{video['id']}"
    saved = viewer.http.put(path, json={"position": 6.5, "duration": 12.0})
    assert saved.json() == {"success": True, "progress_percent": 54}
    viewer.http.post("/api/auth/logout")
    viewer.close()
    again = Client(stack.base_url, "viewer", "longer than eight")
    record = again.http.get(path).json()
    assert (record["position"], record["progress_percent"], record["completed"]) == (6.5, 54, False)
    unknown = again.http.put(path, json={"position": None, "duration": 12.0})
    assert unknown.status_code == 200
    assert again.http.get(path).json()["position"] == 6.5
    assert again.http.post(f"/api/videos/{video['id']}/progress", json={"position_sec": 11.9}).status_code == 204
    history = again.http.get("/api/users/me/history").json()
    assert [(item["video_id"], item["completed"]) for item in history["items"]] == [(video["id"], True)]
    assert history["items"][0]["video"]["title"] == "Night Train"
    assert admin.http.get(path).status_code == 204, "progress is each viewer's own"
    again.close()


def test_members_see_ready_films_and_can_not_upload(stack: Stack, video: dict[str, Any], film: Path) -> None:
    member = new_member(stack, "Member Ünï 한글")
    listed = member.http.get("/api/videos").json()["items"]
    assert video["id"] in [item["id"] for item in listed]
    assert {item["status"] for item in listed} == {"ready"}
    with film.open("rb") as file:
        refused = member.http.post("/api/videos", files={"file": ("x.mp4", file)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AUTH_FORBIDDEN")
    assert member.http.get("/api/users").status_code == 403
    member.close()


def test_token_of_ended_login_session_is_refused_within_seconds(stack: Stack, video: dict[str, Any]) -> None:
    leaving, staying = Client(stack.base_url), Client(stack.base_url)
    paths = ("/api/users/me", "/api/videos", f"/api/videos/{video['id']}/stream", "/api/users/me/history")

    def statuses(client: Client) -> set[int]:
        headers = {"Authorization": f"Bearer {client.token}", "Range": "bytes=0-1"}
        return {httpx.get(f"{stack.base_url}{path}", headers=headers).status_code for path in paths}

    assert statuses(leaving) == {200, 206}
    assert leaving.http.post("/api/auth/logout").status_code == 204
    wait_for(lambda: statuses(leaving) == {401}, 60, "the token to be refused by every service")
    assert statuses(staying) == {200, 206}
    leaving.close()
    staying.close()


def test_pending_member_can_not_log_in(stack: Stack) -> None:
    body = {"login_id": "patient", "password": "longer than eight", "display_name": "P"}
    assert httpx.post(f"{stack.base_url}/api/auth/register", json=body).json()["status"] == "pending"
    login = httpx.post(
        f"{stack.base_url}/api/auth/login",
        json={"login_id": "patient", "password": "longer than eight"},
        headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.5"},
    )
    assert login.status_code == 403
    assert login.json()["error"]["code"] == "AUTH_USER_PENDING"
    assert "승인" in login.json()["error"]["message"]


def bad_media(film: Path) -> dict[str, bytes]:
    """What people upload that is no film."""
    whole = film.read_bytes()
    return {
        "notes.mp4": b"just some text\n" * 100,
        "empty.mp4": b"",
        "cut.mp4": whole[: len(whole) // 2],
        "list.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
        "../../etc/cron.d/evil\x01\n.mp4": b"\x00" * 5000,
    }


def test_upload_that_is_no_film_fails_with_a_reason(stack: Stack, admin: Client, film: Path, tmp_path: Path) -> None:
    ids = []
    for name, content in bad_media(film).items():
        answer = admin.http.post("/api/videos", files={"file": (name, content, "video/mp4")})
        assert answer.status_code == 201, (name, answer.text)
        ids.append(answer.json()["id"])
    for video_id in ids:
        video = admin.await_status(video_id, "failed")
        assert video["failure_code"]
        assert len(video["failure_reason"]) > 10
        assert video["thumbnail_url"] is None
        refused = admin.http.get(f"/api/videos/{video_id}/stream")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONTENT_NOT_READY")
    good = admin.await_status(admin.upload(film, "after the bad ones"), "ready")
    assert good["status"] == "ready", "the worker is alive"
    if media := getattr(stack, "media", None):
        assert not [name for name in ids if (media / "videos" / name).exists()], "nothing is left behind"
        assert list((media / "incoming").iterdir()) == []


def test_every_route_needs_credentials(stack: Stack) -> None:
    document = httpx.get(f"{stack.base_url}/openapi.json").json()
    walked = 0
    with httpx.Client(base_url=stack.base_url) as anonymous:
        for template, operations in document["paths"].items():
            if not template.startswith("/api/"):
                continue
            path = re.sub(r"\{[^}]+\}", "00000000-0000-7000-8000-000000000000", template)
            for method in operations:
                answer = anonymous.request(method.upper(), path)
                public = (method.upper(), template) in PUBLIC
                assert (answer.status_code == 401) is not public or template in OWN_PROOF, (method, path)
                if not public:
                    assert method == "head" or answer.json()["error"]["code"] == "AUTH_INVALID_TOKEN"
                    assert "Basic" in answer.headers["www-authenticate"]
                    assert operations[method]["security"], f"{method} {template} is documented as public"
                    walked += 1
    assert walked >= 15
    quiet = httpx.get(f"{stack.base_url}/api/videos", headers=HEADERS)
    assert "Basic" not in quiet.headers["www-authenticate"], "a page's script must not make the browser ask"


def test_cookie_without_header_is_refused(stack: Stack, film: Path) -> None:
    with httpx.Client(base_url=stack.base_url) as browser:
        credentials = {"login_id": ADMIN_LOGIN, "password": ADMIN_PASSWORD}
        browser.post("/api/auth/login", json=credentials)
        assert browser.get("/api/users/me").status_code == 200
        with film.open("rb") as file:
            forged = browser.post("/api/videos", files={"file": ("x.mp4", file)})
        assert (forged.status_code, forged.json()["error"]["code"]) == (403, "AUTH_FORBIDDEN")


def test_health_is_public_and_internal_routes_are_not(stack: Stack) -> None:
    health = httpx.get(f"{stack.base_url}/api/health").json()
    assert health["status"] == "healthy"
    assert set(health["services"]) == {"auth", "catalog", "stream", "progress", "thumbnailer"}
    assert health["dependencies"]["database"] == "connected"
    for path in ("/metrics", "/readyz"):
        assert httpx.get(f"{stack.base_url}{path}").status_code == 404, path
    assert "marquee" in httpx.get(f"{stack.base_url}/", headers={"Accept": "text/html"}).text.lower()
    keys = httpx.get(f"{stack.base_url}/.well-known/jwks.json").json()["keys"]
    assert all(key["crv"] == "Ed25519" and "d" not in key for key in keys)


def test_command_line_uploads(stack: Stack, film: Path) -> None:
    done = subprocess.run(
        [
            ".venv/bin/marquee", "upload", str(film),
            "--url", stack.base_url, "--login", ADMIN_LOGIN, "--password", ADMIN_PASSWORD,
        ],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "night train: ready" in done.stderr
