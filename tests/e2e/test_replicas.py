"""A replica of stream that goes away is not noticed by those who watch, in a real browser behind the real gateway."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import has_metadata, log_in, plays_on, position
from tests.e2e.client import Client
from tests.stacks.base import wait_for
from tests.stacks.compose import ComposeStack

SECONDS = 120


@pytest.fixture(scope="module")
def heavy_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Too many bytes a second for a browser to have the rest of it in store."""
    path = tmp_path_factory.mktemp("films") / "heavy.mp4"
    picture = "testsrc2=size=640x360:rate=25,noise=alls=40:allf=t"
    coded = (
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "25",
        "-pix_fmt",
        "yuv420p",
        "-b:v",
        "8M",
        "-minrate",
        "8M",
    )
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-t", str(SECONDS), *coded, "-maxrate", "8M",
         "-bufsize", "8M", "-movflags", "+faststart", str(path)],
        check=True,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("stack", ["compose"], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_replicas_stop_one_after_the_other(
    page: Page, stack: ComposeStack, heavy_film: Path, how: signal.Signals
) -> None:
    admin = Client(stack.base_url)
    video_id = admin.upload(heavy_film, f"heavy {how.name}")
    admin.await_status(video_id, "ready")
    wait_for(lambda: len(stack.replicas("stream")) == 2, 60, "two replicas")
    log_in(page)
    page.goto(f"/watch/{video_id}")
    player = page.get_by_test_id("player")
    has_metadata(page)
    player.evaluate(
        "video => { window.errors = 0; video.addEventListener('error', () => { window.errors += 1 }); video.play() }"
    )
    plays_on(page, 1)
    for replica in stack.replicas("stream"):
        stack.signal(replica, how)
        # The browser buffers ten seconds: the film is watched, and then sought, beyond that.
        before = position(page)
        plays_on(page, before + 12)
        player.evaluate("(video, to) => { video.currentTime = to }", before + 40)
        plays_on(page, before + 40)
        wait_for(lambda: len(stack.replicas("stream")) == 2, 90, "the replica to be back")
    assert page.evaluate("window.errors") == 0
    assert player.evaluate("video => video.error") is None
    expect(page.get_by_test_id("error-message")).to_have_count(0)
    admin.close()
