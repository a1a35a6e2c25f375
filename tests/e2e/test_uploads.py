"""Uploads arrive through cut lines and killed replicas: from the site in a browser, and from the command line."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import LIMIT_MS, log_in
from tests.e2e.client import Client, make_film
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, REPOSITORY, UNLIMITED, Process
from tests.stacks.gateway import Gateway
from tests.stacks.line import Line
from tests.stacks.services import ServicesStack

MIB = 1 << 20
SIZE = int(os.environ.get("UPLOAD_TEST_MIB", "64")) * MIB
CUTS = int(os.environ.get("UPLOAD_TEST_CUTS", "6"))
KILLS = int(os.environ.get("UPLOAD_TEST_KILLS", "2"))
SLACK = 50 * MIB


@dataclass
class Place:
    """A Marquee with two catalogs, behind a line that can be cut."""

    stack: ServicesStack
    catalogs: list[Process]
    line: Line

    @property
    def url(self) -> str:
        return f"http://{self.line.address}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_place(tmp_path_factory.mktemp("uploads"), in_bucket=False) as place:
        yield place


@pytest.fixture
def place_in_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A Marquee whose media store is a bucket of S3."""
    with running_place(tmp_path_factory.mktemp("uploads-in-bucket"), in_bucket=True) as place:
        yield place


@contextmanager
def running_place(folder: Path, *, in_bucket: bool) -> Iterator[Place]:
    with ServicesStack(folder, in_bucket=in_bucket) as stack:
        second, port = stack.add_replica("catalog")
        second.start()
        ports = [stack.ports["catalog"], port]
        with Line(ports) as spread:
            others = {name: f"127.0.0.1:{stack.ports[name]}" for name in ("auth", "stream", "progress")}
            upstreams = {**others, "catalog": spread.address}
            gateway = Gateway(folder / "gateway2", upstreams, {**UNLIMITED, "MARQUEE_TRUSTED_PROXIES": "127.0.0.1"})
            gateway.start()
            with Line([gateway.port], bytes_per_sec=16 * MIB) as line:
                yield Place(stack, [stack.processes["catalog"], second], line)
            gateway.stop()
        second.stop()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("films") / "small.mp4")


def big_film(small: Path, path: Path, size: int) -> str:
    """A real film, and random bytes in a `free` box behind it; return its SHA-256."""
    content = small.read_bytes()
    left = size - len(content)
    with path.open("wb") as file:
        file.write(content + left.to_bytes(4, "big") + b"free" if left < 1 << 32 else content)
        for _ in range((left - 8) // MIB):
            file.write(os.urandom(MIB))
        file.write(os.urandom((left - 8) % MIB))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def troubles(place: Place) -> Iterator[list[str]]:
    """Cut the line and kill replicas as bytes pass, spread over the size of the film; yield what has happened."""
    start = place.line.sent
    kills = {round((number + 1) * (CUTS + KILLS) / (KILLS + 1)) for number in range(KILLS)}
    plan = ["kill" if number in kills else "cut" for number in range(1, CUTS + KILLS + 1)]
    due: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    fired = 0

    def on_sent(sent: int) -> None:
        nonlocal fired
        while fired < len(plan) and sent - start > (fired + 1) * SIZE / (len(plan) + 2):
            due.put(plan[fired])
            fired += 1

    happened: list[str] = []

    def act() -> None:
        while (trouble := due.get()) is not None:
            if trouble == "cut":
                place.line.cut()
            else:
                catalog = place.catalogs[happened.count("kill") % 2]
                catalog.kill()
                catalog.start()
            happened.append(trouble)

    thread = threading.Thread(target=act)
    thread.start()
    place.line.on_sent = on_sent
    try:
        yield happened
    finally:
        place.line.on_sent = lambda _sent: None
        due.put(None)
        thread.join(60)


def arrived_whole(place: Place, video_id: str, sha256: str, title: str) -> None:
    """The bytes are right, the video is one, its event was recorded once, and nothing is left over."""
    with (place.stack.media / "videos" / video_id / "source").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
    url = place.stack.postgres.url_of("catalog").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id FROM videos WHERE title = %s", [title]).fetchall()
        events = connection.execute(
            "SELECT count(*) FROM outbox WHERE subject = %s AND type = 'video.uploaded'", [video_id]
        ).fetchone()
        hashed = connection.execute("SELECT sha256 FROM video_files WHERE video_id = %s", [video_id]).fetchall()
    assert rows == [(video_id,)]
    assert events == (1,)
    assert hashed == [(sha256,)]
    assert [path for path in (place.stack.media / "uploads").rglob("*") if path.is_file()] == []
    admin = Client(place.stack.base_url)
    admin.await_status(video_id, "ready")
    admin.close()


@contextmanager
def memory_stays_flat(place: Place) -> Iterator[None]:
    before = {}
    for catalog in place.catalogs:
        catalog.forget_peak()
        before[catalog.pid] = catalog.peak_memory()
    yield
    for catalog in place.catalogs:
        # A killed one has begun anew, with a peak of its own.
        known = before.get(catalog.pid, max(before.values()))
        assert catalog.peak_memory() - known < SLACK


@pytest.mark.parametrize("store", ["place", "place_in_bucket"])
def test_command_line_uploads_through_cuts_and_kills(
    request: pytest.FixtureRequest, small: Path, tmp_path: Path, store: str
) -> None:
    place: Place = request.getfixturevalue(store)
    film = tmp_path / "From the command line.mp4"
    sha256 = big_film(small, film, SIZE)
    command = [sys.executable, "-m", "apps.marquee", "upload", str(film), "--json", "--no-wait", "--url", place.url]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")},
        "MARQUEE_ADMIN_LOGIN": ADMIN_LOGIN,
        "MARQUEE_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    with memory_stays_flat(place), troubles(place) as happened:
        done = subprocess.run(
            command, check=False, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=900
        )
    assert done.returncode == 0, done.stderr + done.stdout
    outcome = json.loads(done.stdout)
    assert (happened.count("cut"), happened.count("kill")) == (CUTS, KILLS)
    arrived_whole(place, outcome["video_id"], sha256, "From the command line")


def test_browser_uploads_through_cuts_and_kills(browser: Browser, place: Place, small: Path, tmp_path: Path) -> None:
    film = tmp_path / "From the browser.mp4"
    sha256 = big_film(small, film, SIZE)
    context = browser.new_context(base_url=place.url, locale="en-US")
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    log_in(page)
    page.goto("/upload")
    page.get_by_test_id("upload-input").set_input_files(film)
    with troubles(place) as happened:
        page.get_by_test_id("upload-submit").click()
        item = page.get_by_test_id("upload-item")
        expect(item).to_have_attribute("data-phase", "done", timeout=900_000)
    link = item.get_by_role("link", name="Watch").get_attribute("href")
    assert link
    assert (happened.count("cut"), happened.count("kill")) == (CUTS, KILLS)
    context.close()
    arrived_whole(place, link.rpartition("/")[2], sha256, "From the browser")


def test_browser_goes_on_after_a_reload(browser: Browser, place: Place, small: Path, tmp_path: Path) -> None:
    film = tmp_path / "After a reload.mp4"
    sha256 = big_film(small, film, SIZE)
    context = browser.new_context(base_url=place.url, locale="en-US")
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    log_in(page)
    page.goto("/upload")
    page.get_by_test_id("upload-input").set_input_files(film)
    start = place.line.sent
    half = threading.Event()
    place.line.on_sent = lambda sent: half.set() if sent - start > SIZE // 2 else None
    page.get_by_test_id("upload-submit").click()
    wait_in_page(page.wait_for_timeout, half)
    page.get_by_test_id("upload-pause").click()
    expect(page.get_by_test_id("upload-paused")).to_be_visible()
    place.line.on_sent = lambda _sent: None
    page.reload()
    expect(page.get_by_test_id("upload-unfinished")).to_contain_text(film.name)
    before = place.line.sent
    page.get_by_test_id("upload-input").set_input_files(film)
    page.get_by_test_id("upload-submit").click()
    item = page.get_by_test_id("upload-item")
    expect(item).to_have_attribute("data-phase", "done", timeout=900_000)
    # Not everything was sent a second time; what was on its way when the page was left is.
    assert place.line.sent - before < SIZE
    link = item.get_by_role("link", name="Watch").get_attribute("href")
    assert link
    context.close()
    arrived_whole(place, link.rpartition("/")[2], sha256, "After a reload")


def wait_in_page(pause: Callable[[float], None], event: threading.Event) -> None:
    """Wait for another thread while the page goes on."""
    for _ in range(LIMIT_MS // 50):
        if event.is_set():
            return
        pause(50)
    raise AssertionError("the upload did not move")
