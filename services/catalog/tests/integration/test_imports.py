"""Films that are registered where they lie: what is taken, what is refused, and that nothing of them is copied."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kit.audit import ADMIN_ACTED
from kit.events.envelope import Event
from kit.service import Role
from kit.settings import load
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus, HeaderAuthenticator, as_user, event_of
from kit.testing.origin import Origin
from kit.testing.servers import S3Server
from marquee.events.v1 import admin_pb2, media_pb2, video_pb2
from services.catalog.__main__ import build
from services.catalog.settings import CatalogSettings

ADMIN = as_user("root", "admin")
FILM = os.urandom(50_000)


class Running:
    """A catalog that may import from a folder, a bucket, and the loopback."""

    def __init__(self, http: httpx.AsyncClient, bus: FakeBus, folder: Path) -> None:
        self.http = http
        self.bus = bus
        self.folder = folder

    async def ask(self, location: str, headers: dict[str, str] = ADMIN, **more: Any) -> httpx.Response:
        return await self.http.post("/api/imports", json={"location": location, **more}, headers=headers)

    async def imported(self, location: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask(location, **more)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def problem(self, location: str) -> str:
        """Why a location is refused."""
        answer = await self.ask(location)
        assert answer.status_code == 422, answer.text
        error = answer.json()["error"]
        assert error["code"] == "VALIDATION_FAILED"
        (field,) = error["details"]["fields"]
        assert field["field"] == "location"
        return str(field["problem"])

    async def published(self, type_: str) -> Event:
        """The first event of a type, once it has left the outbox."""
        async with asyncio.timeout(60):
            while type_ not in self.bus.types():
                await self.bus.something_published()
        return next(event for event in self.bus.published if event.type == type_)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin({"/films/A%20film.mp4": FILM}) as origin:
        yield origin


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated: MigratedDatabases) -> Iterator[str]:
    """SQLite, unless a test asks for PostgreSQL, too."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield migrated.sqlite(tmp_path / "catalog.db")
        return
    with migrated.postgres(request.getfixturevalue("postgres_server")) as url:
        yield url


on_both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def catalog(database_url: str, tmp_path: Path, s3_server: S3Server) -> AsyncIterator[Running]:
    folder = tmp_path / "nas"
    folder.mkdir()
    settings = load(
        CatalogSettings,
        database_url=database_url,
        broker_url="local:",
        media_url=(tmp_path / "media").as_uri(),
        grpc_bind=f"unix:{tmp_path / 'grpc'}",
        auth_address=f"unix:{tmp_path / 'absent'}",
        import_dir=folder,
        remote_allow="127.0.0.1",
        remote_ports="*",
        remote_timeout_sec=2,
        s3_endpoint_url=s3_server.url,
        s3_access_key_id=s3_server.access_key_id,
        s3_secret_access_key=s3_server.secret_access_key,
    )
    bus = FakeBus()
    service = build(settings, Role.SERVE, bus)
    service.app.state.authenticate = HeaderAuthenticator()
    await service.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://catalog") as http:
        yield Running(http, bus, folder)
    await service.stop(1)


async def test_an_address(catalog: Running, origin: Origin, tmp_path: Path) -> None:
    url = origin.url("/films/A film.mp4")
    video = await catalog.imported(url, description="Old.", tags=["noir", "noir", " 1949 "])
    assert (video["title"], video["description"], video["tags"]) == ("A film", "Old.", ["noir", "1949"])
    assert (video["status"], video["mime_type"]) == ("processing", "video/mp4")
    assert [file["size"] for file in video["files"]] == [len(FILM)]
    message = (await catalog.published("video.uploaded")).read(video_pb2.VideoUploaded)
    assert (message.video_id, message.reference, message.size_bytes) == (
        video["id"],
        origin.url("/films/A%20film.mp4"),
        len(FILM),
    )
    act = (await catalog.published(ADMIN_ACTED)).read(admin_pb2.AdminActed)
    assert (act.actor_id, act.action, act.subject_id) == ("root", "video.imported", video["id"])
    assert json.loads(act.details) == {"title": "A film"}, "where films are is not audited"
    # One byte was asked for, and nothing is kept here.
    assert origin.sent == 1
    assert not (tmp_path / "media" / "videos").exists()


@on_both_databases
async def test_a_path(catalog: Running, tmp_path: Path) -> None:
    (catalog.folder / "누아르").mkdir()
    (catalog.folder / "누아르" / "The_Film (1949).mkv").write_bytes(FILM)
    video = await catalog.imported("누아르/The_Film (1949).mkv", title="제3의 사나이")
    assert video["title"] == "제3의 사나이"
    uploaded = await catalog.published("video.uploaded")
    assert uploaded.read(video_pb2.VideoUploaded).reference == "import:누아르/The_Film (1949).mkv"
    assert not (tmp_path / "media" / "videos").exists()


async def test_an_object(catalog: Running, s3_server: S3Server) -> None:
    bucket = s3_server.buckets / "imports"
    bucket.mkdir(exist_ok=True)
    (bucket / "a film.mp4").write_bytes(FILM)
    video = await catalog.imported("s3://imports/a film.mp4")
    assert video["files"][0]["size"] == len(FILM)
    assert await catalog.problem("s3://imports/none.mp4") == "the origin answers 404"


@on_both_databases
async def test_the_same_film_twice(catalog: Running, origin: Origin) -> None:
    first = await catalog.imported(origin.url("/films/A film.mp4"))
    again = await catalog.ask(origin.url("/films/A%20film.mp4"))
    assert again.status_code == 409
    error = again.json()["error"]
    assert (error["code"], error["details"]["video_id"]) == ("UPLOAD_CONFLICT", first["id"])


@on_both_databases
async def test_at_the_same_time_it_is_imported_once(catalog: Running, origin: Origin) -> None:
    answers = await asyncio.gather(*(catalog.ask(origin.url("/films/A film.mp4")) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]


async def test_it_is_processed_again_where_it_lies(catalog: Running, origin: Origin) -> None:
    video = await catalog.imported(origin.url("/films/A film.mp4"))
    await catalog.http.post("/api/videos/process", headers=ADMIN)
    message = (await catalog.published("video.process_requested")).read(video_pb2.VideoProcessRequested)
    assert (message.video_id, message.reference) == (video["id"], origin.url("/films/A%20film.mp4"))


@on_both_databases
async def test_what_fails_for_good_is_left_alone(catalog: Running) -> None:
    path = catalog.folder / "text.mp4"
    path.write_bytes(b"This is a text.")
    video = await catalog.imported("text.mp4")
    failed = media_pb2.MediaFailed(video_id=video["id"], code="NOT_A_VIDEO", reason="A text.", permanent=True)
    await catalog.bus.deliver(event_of("media.failed", failed, subject=video["id"]))
    shown = (await catalog.http.get(f"/api/videos/{video['id']}", headers=ADMIN)).json()
    assert shown["status"] == "failed"
    assert path.read_bytes() == b"This is a text."
    again = await catalog.ask("text.mp4")
    assert again.status_code == 409, "the same broken file is no new video"
    assert again.json()["error"]["details"] == {
        "video_id": video["id"],
        "failure_code": "NOT_A_VIDEO",
        "failure_reason": "A text.",
    }
    # Put right, it can be imported anew, as the same video.
    path.write_bytes(FILM)
    repaired = await catalog.imported("text.mp4")
    assert (repaired["id"], repaired["status"]) == (video["id"], "processing")


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../secret.mp4",
        "a/../../secret.mp4",
        "link.mp4",
        "folder/secret.mp4",
        "pipe",
        "empty.mp4",
        "nothing.mp4",
        "inside",
        "videos/1/source",
        "import:a.mp4",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.mp4",
        "http://user:password@127.0.0.1/a.mp4",
        "http://2130706433/a.mp4",
        "http://[::1/a.mp4",
        "s3://Absent/a.mp4",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a.mp4",
        "http://[::ffff:10.0.0.1]/a.mp4",
        "http://localhost:1/a.mp4",
    ],
)
async def test_what_is_refused(catalog: Running, location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(FILM)
    (catalog.folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (catalog.folder / "folder").symlink_to(tmp_path)
    (catalog.folder / "inside").mkdir()
    (catalog.folder / "empty.mp4").touch()
    os.mkfifo(catalog.folder / "pipe")
    problem = await catalog.problem(location)
    assert problem
    assert str(tmp_path) not in problem
    assert "password@" not in problem


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": 404}, "the origin answers 404"),
        ({"status": 500}, "the origin answers 500"),
        ({"etag": None, "modified": None}, "a change would go unnoticed"),
        ({"takes_ranges": False, "sends_length": False}, "does not tell how long"),
        ({"hangs": asyncio.Event()}, "does not answer in time"),
        ({"fields": {"Content-Encoding": "gzip"}}, "compresses"),
    ],
)
async def test_origins_that_can_not_be_served(
    catalog: Running, origin: Origin, change: dict[str, Any], said: str
) -> None:
    for name, value in change.items():
        setattr(origin, name, value)
    assert said in await catalog.problem(origin.url("/films/A film.mp4?token=hidden"))


async def test_only_administrators_import(catalog: Running, origin: Origin) -> None:
    assert (await catalog.ask(origin.url("/films/A film.mp4"), headers=as_user("ann"))).status_code == 403
    assert (await catalog.ask(origin.url("/films/A film.mp4"), headers={})).status_code == 401
    assert not origin.connections


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"titel": "misspelt"}, "titel"),
        ({"title": "a" * 201}, "title"),
        ({"tags": ["a" * 41]}, "tags"),
        ({"tags": ["a"] * 21}, "tags"),
        ({"corporation_id": "none"}, "corporation_id"),
    ],
)
async def test_fields_that_are_wrong(catalog: Running, origin: Origin, more: dict[str, Any], field: str) -> None:
    answer = await catalog.ask(origin.url("/films/A film.mp4"), **more)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["fields"][0]["field"] == field
