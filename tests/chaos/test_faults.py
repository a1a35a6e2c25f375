"""What an upload's 201 promises: whatever dies after it, the film becomes ready, with its thumbnail, exactly once."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import httpx
import psycopg
import pytest

from kit.testing.depth import is_deep
from tests.chaos.driver import Driver
from tests.e2e.client import Client, make_film, make_huge_film
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, Process, wait_for
from tests.stacks.embedded import EmbeddedStack
from tests.stacks.services import ServicesStack

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path_factory.mktemp("embedded")) as running:
        yield running


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServicesStack]:
    with ServicesStack(tmp_path_factory.mktemp("services")) as running:
        yield running


def published_in_postgres(stack: ServicesStack, video_id: str) -> list[str]:
    """Types of the events about a video that catalog has recorded and published."""
    url = stack.postgres.url_of("catalog").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT type FROM outbox WHERE subject = %s AND sent_at IS NOT NULL", [video_id])
        return sorted(row[0] for row in rows)


def published_in_sqlite(stack: EmbeddedStack, video_id: str) -> list[str]:
    with sqlite3.connect(f"file:{stack.data / 'catalog.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT type FROM outbox WHERE subject = ? AND sent_at IS NOT NULL", [video_id])
        return sorted(row[0] for row in rows)


ONCE = ["video.ready", "video.uploaded"]
ARTWORK = ("thumbnail", "posters", "storyboard")


def becomes_ready_once(stack: EmbeddedStack | ServicesStack, video_id: str) -> None:
    admin = Client(stack.base_url)
    video = admin.await_artwork(video_id, 90)
    assert admin.http.get(video["thumbnail_url"]).content.startswith(b"\xff\xd8")
    admin.close()

    def published() -> list[str]:
        if isinstance(stack, EmbeddedStack):
            return published_in_sqlite(stack, video_id)
        return published_in_postgres(stack, video_id)

    wait_for(lambda: "video.ready" in published(), 60, "the events to be published")
    types = published()
    updates = types.count("video.updated")
    assert [each for each in types if each != "video.updated"] == ONCE
    assert updates <= len(ARTWORK), "each piece of artwork that comes after `ready` is one update"


@pytest.mark.parametrize("attempt", range(4))
def test_killed_embedded_mode_processes_upload_once(embedded: EmbeddedStack, film: Path, attempt: int) -> None:
    admin = Client(embedded.base_url)
    ids = [admin.upload(film, f"kill {attempt}-{number}") for number in range(2)]
    # Immediately, or at some time in the second that the work takes.
    threading.Event().wait(random.Random(attempt).choice([0, 0.05, 0.2, 0.6]))
    embedded.process.kill()
    embedded.start()
    for video_id in ids:
        becomes_ready_once(embedded, video_id)


@pytest.mark.parametrize(
    "victim", ["catalog", "thumbnailer", "auth", "progress", "stream", "rabbit", "postgres", "redis"]
)
def test_killed_process_processes_upload_once(services: ServicesStack, film: Path, victim: str) -> None:
    admin = Client(services.base_url)
    ids = [admin.upload(film, f"kill {victim} {number}") for number in range(3)]
    threading.Event().wait(random.Random(victim).choice([0, 0.1, 0.4]))
    target = services.processes.get(victim) or getattr(services, victim)
    target.kill()
    target.start()
    services.wait_healthy(90)
    for video_id in ids:
        becomes_ready_once(services, video_id)


def test_upload_is_processed_after_broker_returns(services: ServicesStack, film: Path) -> None:
    services.rabbit.stop()
    admin = Client(services.base_url)
    ids = []
    away_until = time.monotonic() + 60
    while time.monotonic() < away_until:
        started = time.monotonic()
        ids.append(admin.upload(film, "while the broker is away"))
        assert time.monotonic() - started < 20, "an upload does not wait for the broker"
        assert admin.video(ids[-1])["status"] == "processing"
        threading.Event().wait(10)
    health = httpx.get(f"{services.base_url}/api/health").json()
    assert (health["status"], health["dependencies"]["broker"]) == ("degraded", "disconnected")
    services.rabbit.start()
    services.wait_healthy()
    for video_id in ids:
        becomes_ready_once(services, video_id)


def test_film_is_made_although_worker_dies_repeatedly(services: ServicesStack, film: Path) -> None:
    admin = Client(services.base_url)
    video_id = admin.upload(film, "poor worker")
    worker = services.processes["thumbnailer"]
    for _ in range(4):
        worker.kill()
        worker.start()
    services.wait_healthy()
    becomes_ready_once(services, video_id)


FAULTS = [
    ("postgres", "pause", ""),
    ("postgres", "kill", "stream"),
    ("redis", "pause", ""),
    ("redis", "kill", "progress"),
    ("rabbit", "pause", "thumbnailer"),
    ("rabbit", "kill", ""),
    ("", "", "catalog"),
]
"""A server, what happens to it, and a service that is killed meanwhile."""
if is_deep():
    FAULTS = [
        (server, fault, victim)
        for server in ("postgres", "redis", "rabbit")
        for fault in ("pause", "kill")
        for victim in ("", "auth", "catalog", "progress", "stream", "thumbnailer")
    ]


@pytest.fixture(scope="module")
def driver(services: ServicesStack, film: Path) -> Iterator[Driver]:
    services.wait_healthy()
    driver = Driver(services.base_url, film)
    yield driver
    driver.close()


@pytest.mark.parametrize(("server", "fault", "victim"), FAULTS)
def test_what_is_away_is_answered_503_and_named(
    services: ServicesStack, driver: Driver, server: str, fault: str, victim: str
) -> None:
    services.wait_healthy()
    driver.start_session()
    logs = {name: len(process.output()) for name, process in services.processes.items()}
    target = getattr(services, server) if server else None
    killed = services.processes.get(victim)
    if target:
        getattr(target, fault)()
    if killed:
        killed.kill()
    answers = list(driver.send_all())
    if server == "postgres":
        wait_for(lambda: not is_ready(services, "catalog"), 60, "catalog to be unready")
    health = httpx.get(f"{services.base_url}/api/health", timeout=60).json() if victim != "catalog" else {}
    if target:
        (target.resume if fault == "pause" else target.start)()
    if killed:
        killed.start()
    services.wait_healthy()

    assert [str(answer) for answer in answers if not answer.status] == []
    assert [str(answer) for answer in answers if answer.is_refused and answer.status != 503] == []
    unavailable = [answer for answer in answers if answer.status == 503]
    assert [str(answer) for answer in unavailable if "Retry-After" not in answer.headers] == []
    names = {answer.dependency for answer in unavailable}
    # The gateway names none: it reached no process of the service.
    assert names <= {"database" if server == "postgres" else server, victim, ""}
    if server == "postgres":
        assert {"edit", "save progress", "read progress", "list"} <= {answer.name for answer in unavailable}
        assert not health or health["dependencies"]["database"] == "disconnected"
    if server == "redis":
        assert "start session" in {answer.name for answer in unavailable}
    if server == "rabbit":
        assert {answer.dependency for answer in unavailable} <= {victim, ""}
    new_lines = {name: process.output()[logs[name] :] for name, process in services.processes.items()}
    assert [name for name, lines in new_lines.items() if "Traceback" in lines] == []
    driver.start_session()
    assert [str(answer) for answer in driver.send_all() if answer.is_refused] == []


def is_ready(services: ServicesStack, name: str) -> bool:
    return httpx.get(f"http://127.0.0.1:{services.ports[name]}/readyz", timeout=60).is_success


class Watched:
    """The most memory that each process of a stack uses while something goes on."""

    def __init__(self, processes: dict[str, Process]) -> None:
        self._processes = processes
        self._before: dict[str, int] = {}

    def __enter__(self) -> Self:
        for name, process in self._processes.items():
            process.forget_peak()
            self._before[name] = process.peak_memory()
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = {
            name: (process.peak_memory() - self._before[name]) / MIB for name, process in self._processes.items()
        }


@pytest.mark.parametrize("kind", ["embedded", "services"])
def test_two_gigabytes_take_bounded_memory(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    stack: EmbeddedStack | ServicesStack = request.getfixturevalue(kind)
    small = make_film(tmp_path / "small.mp4", seconds=2)
    huge = make_huge_film(small, tmp_path / "huge.mp4", 2 * GIB)
    processes = {"marquee": stack.process} if isinstance(stack, EmbeddedStack) else stack.processes
    admin = Client(stack.base_url)
    with Watched(processes) as upload:
        video_id = admin.upload(huge, "two gigabytes")
        video = admin.await_status(video_id, "ready", 120)
    assert video["files"][0]["size"] == 2 * GIB
    with Watched(processes) as download, httpx.Client(base_url=stack.base_url, timeout=60) as viewer:
        received = 0
        url = f"/api/videos/{video_id}/stream"
        with viewer.stream("GET", url, auth=(ADMIN_LOGIN, ADMIN_PASSWORD)) as answer:
            for block in answer.iter_raw(MIB):
                received += len(block)
    assert received == 2 * GIB
    for name in processes:
        record_property(f"{name}_growth_mib", f"{upload.growth[name]:.1f} up, {download.growth[name]:.1f} down")
        assert upload.growth[name] < 50, name
        assert download.growth[name] < 50, name


def test_stop_is_clean_and_quick(embedded: EmbeddedStack) -> None:
    started = time.monotonic()
    assert embedded.process.stop() == 0
    assert time.monotonic() - started < 20
    assert "Traceback" not in embedded.process.output()
    began = time.monotonic()
    embedded.start()
    assert time.monotonic() - began < 45, "a second start is a matter of seconds"
