"""A protected film from its upload to a browser: packed, its source removed, decrypted chunk by chunk."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.browser import log_in, plays_on, shoot
from tests.e2e.client import Client, make_film
from tests.stacks.base import Stack

MAGIC = b"\x89LSV\r\n\x1a\n"


def test_protected_film_plays_in_a_browser_and_nowhere_else(page: Page, stack: Stack, tmp_path: Path) -> None:
    admin = Client(stack.base_url)
    with make_film(tmp_path / "protected.mp4", seconds=60).open("rb") as file:
        answer = admin.http.post(
            "/api/videos", data={"protection": "lsv"}, files={"file": ("p.mp4", file, "video/mp4")}
        )
    assert answer.status_code == 201, answer.text
    film = str(answer.json()["id"])
    ready = admin.await_status(film, "ready")
    assert ready["protection"] == "lsv"
    assert [asset["kind"] for asset in ready["files"]] == ["lsv"]

    plain = admin.http.get(f"/api/videos/{film}/stream", headers={"Range": "bytes=0-9"})
    assert plain.status_code == 403
    assert plain.json()["error"]["code"] == "CONTENT_PROTECTED"
    pack = admin.http.get(f"/api/videos/{film}/lsv", headers={"Range": "bytes=0-7"})
    assert (pack.status_code, pack.content) == (206, MAGIC)
    assert pack.headers["Cache-Control"].startswith("no-store")
    admin.close()

    log_in(page)
    page.goto(f"/watch/{film}")
    plays_on(page, 0)
    page.keyboard.press("5")
    plays_on(page, 30)
    expect(page.get_by_test_id("watermark")).to_have_count(1)
    shoot(page, stack, "protected")
