"""HTTP as clients speak it, whichever way Marquee runs: logins in URLs, offers to upgrade, half-closed connections."""

from __future__ import annotations

import base64
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import av
import httpx
import pytest

from tests.e2e.client import Client
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, Stack

LIMIT_SEC = 120
BASIC = f"Basic {base64.b64encode(f'{ADMIN_LOGIN}:{ADMIN_PASSWORD}'.encode()).decode()}"
BODY = b'{"login_id":"absent","password":"wrong-password-1"}'


@pytest.fixture(scope="module")
def video(admin: Client, film: Path) -> dict[str, Any]:
    """A film that is ready."""
    return admin.await_status(admin.upload(film, "Night Train"), "ready")


def address(stack: Stack) -> tuple[str, int]:
    parts = urlsplit(stack.base_url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def exchange(stack: Stack, *pieces: bytes, half_close: bool = False) -> bytes:
    """All that a connection answers until it ends."""
    with socket.create_connection(address(stack), timeout=LIMIT_SEC) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(1 << 16):
            received += more
        return received


def run(*command: str | Path, user: str | None = None) -> bytes:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=LIMIT_SEC, user=user).stdout


def with_login(stack: Stack, video: dict[str, Any]) -> str:
    """The address of a film with a login in it, as people type it."""
    host = urlsplit(stack.base_url).netloc
    return f"http://{ADMIN_LOGIN}:{quote(ADMIN_PASSWORD)}@{host}/api/videos/{video['id']}/stream"


def save(*command: str) -> Callable[[str, Path], bytes]:
    def fetch(url: str, folder: Path) -> bytes:
        run(*(part.format(url=url, folder=folder) for part in command))
        return (folder / "film.mp4").read_bytes()

    return fetch


DOWNLOADERS = {
    "curl": save("curl", "-fsS", "-o", "{folder}/film.mp4", "{url}"),
    "wget": save("wget", "-q", "-O", "{folder}/film.mp4", "{url}"),
    "aria2c": save("aria2c", "-q", "-x4", "-s4", "-d", "{folder}", "-o", "film.mp4", "{url}"),
}


@pytest.mark.parametrize("name", DOWNLOADERS)
def test_downloader_logs_in_by_its_url(
    stack: Stack, video: dict[str, Any], film: Path, tmp_path: Path, name: str
) -> None:
    assert DOWNLOADERS[name](with_login(stack, video), tmp_path) == film.read_bytes()


def test_ffprobe_logs_in_by_its_url(stack: Stack, video: dict[str, Any]) -> None:
    probed = run("ffprobe", "-v", "error", "-show_format", "-of", "json", with_login(stack, video))
    assert float(json.loads(probed)["format"]["duration"]) == pytest.approx(12, abs=0.2)


def test_pyav_logs_in_by_its_url(stack: Stack, video: dict[str, Any]) -> None:
    with av.open(with_login(stack, video)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_mpv_logs_in_by_its_url(stack: Stack, video: dict[str, Any], tmp_path: Path) -> None:
    run(
        *("mpv", "--no-config", "--no-audio", "--frames=5", "--vo=image", "--vo-image-format=jpg"),
        *(f"--vo-image-outdir={tmp_path}", with_login(stack, video)),
    )
    assert list(tmp_path.glob("*.jpg"))


def test_vlc_logs_in_by_its_url(stack: Stack, video: dict[str, Any], tmp_path: Path) -> None:
    # It does not run as root.
    user = "nobody" if os.getuid() == 0 else None
    folder = Path("/tmp") / f"vlc-{os.getpid()}-{stack.name}"
    folder.mkdir(mode=0o700)
    try:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        out = folder / "copy.ts"
        run(
            *("env", f"HOME={folder}", f"XDG_RUNTIME_DIR={folder}", "cvlc", "--no-one-instance", "--play-and-exit"),
            *("--sout", f"#std{{access=file,mux=ts,dst={out}}}", with_login(stack, video)),
            user=user,
        )
        played = run("ffprobe", "-v", "error", "-show_format", "-of", "json", out)
        assert float(json.loads(played)["format"]["duration"]) == pytest.approx(12, abs=1)
    finally:
        shutil.rmtree(folder)


def test_challenges_have_lines_of_their_own(stack: Stack, video: dict[str, Any]) -> None:
    answer = httpx.get(f"{stack.base_url}/api/videos/{video['id']}/stream")
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == [
        'Bearer realm="marquee"',
        'Basic realm="marquee", charset="UTF-8"',
    ]


def test_content_of_request_with_refused_upgrade_is_read(stack: Stack) -> None:
    head = (
        f"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode()
    following = b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = exchange(stack, head, BODY, following)
    assert re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", received) == [b"401", b"200"]


def test_content_of_request_with_refused_upgrade_is_no_request(stack: Stack) -> None:
    inner = b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"
    head = (
        "POST /api/auth/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: {len(inner)}\r\n\r\n"
    ).encode()
    assert exchange(stack, head, inner, half_close=True).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("host", ["", "Host: a\r\nHost: b\r\n"])
def test_request_without_one_host_is_refused(stack: Stack, host: str) -> None:
    received = exchange(stack, f"GET /api/health HTTP/1.1\r\n{host}\r\n".encode())
    assert received.split()[1] == b"400"


@pytest.mark.parametrize("path", ["/api/videos", "/api/videos/{id}/stream"])
def test_client_that_sends_no_more_gets_its_answer(stack: Stack, video: dict[str, Any], film: Path, path: str) -> None:
    target = path.format(id=video["id"])
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}\r\n\r\n".encode()
    for _ in range(5):
        head, _, content = exchange(stack, request, half_close=True).partition(b"\r\n\r\n")
        assert head.split()[1] == b"200"
        if path.endswith("stream"):
            assert content == film.read_bytes()


def test_head_above_64_kib_is_refused(stack: Stack) -> None:
    head = b"GET /api/health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"
    assert exchange(stack, head).split()[1] == b"431"


def test_allow_names_every_method(stack: Stack, video: dict[str, Any]) -> None:
    url = f"{stack.base_url}/api/videos/{video['id']}"
    headers = {"Authorization": BASIC}
    for path, expected in (("/stream", {"GET", "HEAD"}), ("", {"GET", "PATCH", "DELETE"})):
        answer = httpx.request("PROPFIND", url + path, headers=headers)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == expected
    site = httpx.request("POST", f"{stack.base_url}/index.html")
    assert (site.status_code, site.headers["allow"]) == (405, "GET, HEAD")
