"""A running catalog, and the messages that others send to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from google.protobuf.message import Message
from sqlalchemy import bindparam, text

from kit.audit import ADMIN_ACTED
from kit.db.columns import UtcDateTime
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.events.registry import type_of
from kit.ids import new_id
from kit.media import MediaStore
from kit.media_store import FolderStore
from kit.service import Service
from kit.testing.fakes import FakeBus, as_user, event_of
from marquee.events.v1 import admin_pb2, media_pb2
from services.catalog.__main__ import MIGRATIONS
from services.catalog.artwork import ArtworkKind
from services.catalog.domain import Plan
from services.catalog.settings import CatalogSettings

ADMIN = as_user("root", "admin")
ANN = as_user("ann")


@dataclass(frozen=True)
class UploadedLabels:
    """The description of a video."""

    title: str
    description: str = ""
    tags: list[str] = field(default_factory=list)
    corporation_id: str | None = None
    protection: str = ""


class FakePlans:
    """The plans of a few corporations, which can be unavailable."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.is_away = False

    async def get(self, corporation_id: str) -> Plan | None:
        """Return the plan of a corporation."""
        if self.is_away:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        return self.plans.get(corporation_id)


class Catalog:
    """A running catalog and the means to look at it."""

    def __init__(self, service: Service, bus: FakeBus, settings: CatalogSettings) -> None:
        self.service = service
        self.bus = bus
        self.settings = settings
        self.media = settings.media_root
        self.database = Database(settings.database_url)
        self.layout = MediaStore(settings.media_root)
        self.store = FolderStore(self.layout)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://catalog")

    async def upload(
        self, fields: dict[str, str] | None = None, content: bytes = b"film", headers: dict[str, str] = ADMIN
    ) -> httpx.Response:
        return await self.http.post("/api/videos", files={"file": ("x.mp4", content)}, data=fields, headers=headers)

    async def uploaded(self, **fields: str) -> str:
        response = await self.upload(fields)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def ready(self, **fields: str) -> str:
        video_id = await self.uploaded(**fields)
        # In this order there is one event: the video becomes ready, and is not changed after that.
        await self.report_thumbnail(video_id)
        await self.report_probed(video_id)
        return video_id

    async def report_probed(self, video_id: str, event: Event | None = None) -> Event:
        message = media_pb2.MediaProbed(
            video_id=video_id, duration_sec=12.5, mime_type="video/mp4", video_codec="H.264", audio_codec="AAC",
            width=1280, height=720, bitrate_bps=2_000_000,
        )  # fmt: skip
        event = event or event_of("media.probed", message, subject=video_id)
        await self.bus.deliver(event)
        return event

    async def report_thumbnail(self, video_id: str) -> Event:
        reference = f"videos/{video_id}/thumbnail.jpg"
        (self.media / reference).write_bytes(b"\xff\xd8 a picture")
        message = media_pb2.MediaThumbnailReady(video_id=video_id, reference=reference)
        event = event_of("media.thumbnail_ready", message, subject=video_id)
        await self.bus.deliver(event)
        return event

    async def report_artwork(self, video_id: str, kind: ArtworkKind, content: bytes = b"x") -> str:
        """Write artwork as a job of thumbnailer does, and report it; return the reference of its folder."""
        folder = f"videos/{video_id}/{kind}-{new_id()}"
        (self.media / folder).mkdir()
        message: Message
        match kind:
            case ArtworkKind.THUMBNAIL:
                names, message = (
                    ["thumbnail.jpg"],
                    media_pb2.MediaThumbnailReady(
                        video_id=video_id, reference=f"{folder}/thumbnail.jpg", thumbhash="AAAA"
                    ),
                )
            case ArtworkKind.POSTERS:
                names = [f"poster-{width}.{ending}" for width in (320, 640) for ending in ("jpg", "webp")]
                message = media_pb2.MediaPostersReady(
                    video_id=video_id, reference=folder, widths=[320, 640], width=640, height=360
                )
            case ArtworkKind.STORYBOARD:
                names = ["storyboard-0.jpg", "storyboard-1.jpg"]
                message = media_pb2.MediaStoryboardReady(
                    video_id=video_id, reference=folder, duration_sec=1005, interval_sec=10, tiles=101, tile_width=160,
                    tile_height=90, columns=10, tiles_a_sheet=100,
                )  # fmt: skip
            case ArtworkKind.SUBTITLES:
                names = ["subtitles-2.vtt"]
                track = media_pb2.SubtitleTrack(index=2, language="kor", title="Korean", text=True)
                message = media_pb2.MediaSubtitlesExtracted(video_id=video_id, reference=folder, tracks=[track])
        for name in names:
            (self.media / folder / name).write_bytes(name.encode() + content)
        await self.bus.deliver(event_of(type_of(type(message)), message, subject=video_id))
        return folder

    async def report_job(self, video_id: str, kinds: list[str], state: str, code: str = "") -> Event:
        message = media_pb2.MediaJobChanged(video_id=video_id, kinds=kinds, state=state, code=code, reason=code.title())
        event = event_of("media.job_changed", message, subject=video_id)
        await self.bus.deliver(event)
        return event

    async def report_failed(self, video_id: str, *, permanent: bool = True) -> Event:
        message = media_pb2.MediaFailed(
            video_id=video_id, code="NOT_A_VIDEO", reason="This is a text.", permanent=permanent
        )
        event = event_of("media.failed", message, subject=video_id)
        await self.bus.deliver(event)
        return event

    async def get(self, path: str, headers: dict[str, str] = ADMIN) -> Any:
        response = await self.http.get(path, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def about_videos(self) -> list[Event]:
        """Return the published events, without those for the audit log."""
        return [event for event in self.bus.published if event.type != ADMIN_ACTED]

    async def event_types(self, count: int) -> list[str]:
        """Return the types of the published events about videos, once there are `count`."""
        async with asyncio.timeout(60):
            while len(self.about_videos()) < count:
                await self.bus.something_published()
        return [event.type for event in self.about_videos()]

    async def acts(self, count: int) -> list[admin_pb2.AdminActed]:
        """Return the events for the audit log, once there are `count`, in the order of their ids."""
        async with asyncio.timeout(60):
            while self.bus.types().count(ADMIN_ACTED) < count:
                await self.bus.something_published()
        events = sorted((event for event in self.bus.published if event.type == ADMIN_ACTED), key=lambda each: each.id)
        return [event.read(admin_pb2.AdminActed) for event in events]


async def reset_to(revision: str, database_url: str) -> None:
    """Empty a database and make the tables of an older revision in it, as before an upgrade."""
    database = Database(database_url)
    async with database.engine.begin() as connection:
        if database.is_sqlite:
            names = await connection.scalars(
                text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
            )
            # The tables inside a virtual one go with it.
            for name in [each for each in names if not each.startswith("search_index_")]:
                await connection.execute(text(f"DROP TABLE {name}"))
        else:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    await database.close()
    await asyncio.to_thread(upgrade, MIGRATIONS, database_url, revision)


def video_of_before(video_id: str, title: str) -> dict[str, Any]:
    """Return a watchable video as a row of the oldest tables."""
    now = datetime.now(UTC)
    fields = {"id": video_id, "title": title, "description": "", "tags": '["old", "film"]', "status": "ready"}
    return fields | {
        "uploader_id": new_id(),
        "mime_type": "video/mp4",
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }


async def insert(database: Database, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows into a table of any revision."""
    names = list(rows[0])
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608
    moments = [bindparam(name, type_=UtcDateTime) for name, value in rows[0].items() if isinstance(value, datetime)]
    async with database.write() as transaction:
        await transaction.session.execute(text(statement).bindparams(*moments), rows)
