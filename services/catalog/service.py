"""Use cases of catalog. Each opens its own transaction; only here events are recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog
from google.protobuf.message import Message
from grpc import aio

from kit.audit import ADMIN_ACTED, Act, Admin, Detail
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.health import Health
from kit.ids import is_id, new_id
from kit.media import MediaStore
from kit.rpc import probe
from marquee.events.v1 import video_pb2
from services.catalog.domain import Facts, Labels, Viewer, folder_reference, source_reference
from services.catalog.models import Artwork, Video, VideoFile
from services.catalog.repository import ReferenceTaken, VideoRepository, VisibleVideoRepository
from services.catalog.uploads import Upload, storage_error

log = structlog.get_logger()

SOURCE = "catalog"
UPLOADED = "video.uploaded"
PROCESS_REQUESTED = "video.process_requested"
REQUIRED_EVENTS = (UPLOADED, PROCESS_REQUESTED, ADMIN_ACTED)
"""Without a consumer these would be lost work, or acts that nobody knows of: they wait in the outbox until the
thumbnailer, or auth, has a queue."""

THUMBNAIL = "thumbnail"
SWEEP_EVERY_SEC = 600.0
ABANDONED_AFTER_SEC = 3600.0


class Videos:
    """Bringing videos in, and showing them."""

    def __init__(self, database: Database, store: MediaStore) -> None:
        self._database = database
        self._store = store

    async def add(self, upload: Upload, uploader_id: str) -> Video:
        """Takes a whole, synced upload into the library: the file is moved, then row and event are written as one.

        Raises:
            ApiError: STORAGE_FULL, STREAM_FILE_UNAVAILABLE; nothing has changed.
        """
        video_id = new_id()
        video = _new_video(
            video_id,
            source_reference(video_id),
            size_bytes=upload.size_bytes,
            mime_type="video/mp4",
            labels=upload,
            uploader_id=uploader_id,
        )
        try:
            await asyncio.to_thread(self._store.adopt, upload.path, source_reference(video_id))
        except OSError as error:
            raise storage_error(error) from error
        try:
            async with self._database.write() as transaction:
                VideoRepository(transaction.session).add(video)
                await transaction.record(_uploaded(video))
        except Exception:
            await asyncio.to_thread(self._store.remove, folder_reference(video_id))
            raise
        log.info("video_uploaded", content_id=video_id, user_id=uploader_id, bytes=upload.size_bytes)
        return video

    async def register(
        self,
        reference: str,
        *,
        size_bytes: int,
        mime_type: str,
        labels: Labels,
        importer: Admin,
    ) -> Video:
        """Takes a film into the library that stays where it is.

        Raises:
            ApiError: UPLOAD_CONFLICT, with `video_id`, when a video has this very file already.
        """
        video = _new_video(
            new_id(),
            reference,
            size_bytes=size_bytes,
            mime_type=mime_type,
            labels=labels,
            uploader_id=importer.user_id,
        )
        try:
            async with self._database.write() as transaction:
                await VideoRepository(transaction.session).add_import(video)
                await transaction.record(_uploaded(video))
                await transaction.record(act_event(importer, "video.imported", video.id, title=video.title))
        except ReferenceTaken as error:
            async with self._database.read() as session:
                owner = await VideoRepository(session).owner_of(reference)
            message = "This file is a video of the library already."
            raise ApiError(ErrorCode.UPLOAD_CONFLICT, message, details={"video_id": owner}) from error
        log.info("video_imported", content_id=video.id, user_id=importer.user_id, bytes=size_bytes)
        return video

    async def get(self, video_id: str, viewer: Viewer) -> Video:
        """A video that the viewer may see.

        Raises:
            ApiError: CONTENT_NOT_FOUND; CONTENT_DELETED when it is in the viewer's trash.
        """
        if is_id(video_id):
            async with self._database.read() as session:
                videos = VisibleVideoRepository(session, viewer)
                if video := await videos.get(video_id):
                    return video
                if await videos.trashed(video_id):
                    raise ApiError(ErrorCode.CONTENT_DELETED)
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def page(
        self, viewer: Viewer, *, query: str, sort: str, offset: int, limit: int
    ) -> tuple[Sequence[Video], int]:
        """What the viewer may see, and how much of it there is."""
        async with self._database.read() as session:
            videos = VisibleVideoRepository(session, viewer)
            return await videos.page(query=query, sort=sort, offset=offset, limit=limit)

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Video]:
        """Several videos at once; unknown ids and videos in the trash are left out."""
        async with self._database.read() as session:
            return await VideoRepository(session).by_ids(ids)

    async def source(self, video_id: str) -> tuple[Video, VideoFile]:
        """A video that can be watched, and the file to watch.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY.
        """
        async with self._database.read() as session:
            video = await VideoRepository(session).get(video_id) if is_id(video_id) else None
        if video is None or video.deleted_at is not None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        if video.status != "ready" or not video.files:
            raise ApiError(ErrorCode.CONTENT_NOT_READY)
        return video, video.files[0]

    async def thumbnail(self, video_id: str, viewer: Viewer) -> Artwork:
        """Return what is known of a video's thumbnail. Raises ApiError: CONTENT_NOT_FOUND, CONTENT_DELETED."""
        artwork = thumbnail_of(await self.get(video_id, viewer))
        if artwork is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return artwork

    async def read_artwork(self, artwork: Artwork) -> bytes:
        """Return the picture, a JPEG.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE when the media store is away.
        """
        try:
            return await asyncio.to_thread(self._store.path(artwork.reference).read_bytes)
        except OSError as error:
            log.error("thumbnail_unreadable", content_id=artwork.video_id, reason=str(error))
            raise ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE) from error

    async def request_processing(self, admin: Admin) -> int:
        """Has facts and artwork of every video made again; answers of how many."""
        async with self._database.write() as transaction:
            videos = VideoRepository(transaction.session)
            files = await videos.all_files()
            await videos.retry_failed()
            for video_id, reference in files:
                message = video_pb2.VideoProcessRequested(video_id=video_id, reference=reference)
                await transaction.record(Event.of(PROCESS_REQUESTED, message, source=SOURCE, subject=video_id))
            await transaction.record(act_event(admin, "video.process_requested", videos=len(files)))
        return len(files)


class Processing:
    """What becomes of a video as the thumbnailer reports. Every report is applied in the caller's transaction."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store

    async def probed(self, transaction: Transaction, video_id: str, facts: Facts) -> None:
        """The file is a film: these are its facts."""
        video = await self._locked(transaction, video_id)
        if video is None or not video.files:
            return
        file = video.files[0]
        video.duration_sec = facts.duration_sec
        video.mime_type = facts.mime_type
        file.video_codec = facts.video_codec
        file.audio_codec = facts.audio_codec or None
        file.width, file.height = facts.width, facts.height
        file.bitrate_bps = facts.bitrate_bps
        await self._settle(transaction, video)

    async def thumbnail_ready(self, transaction: Transaction, video_id: str, reference: str) -> None:
        """A thumbnail was written."""
        video = await self._locked(transaction, video_id)
        if video is None:
            return
        now = datetime.now(UTC)
        artwork = thumbnail_of(video)
        if artwork is None:
            artwork = Artwork(id=new_id(), video_id=video_id, kind=THUMBNAIL, reference=reference, created_at=now)
            video.artworks.append(artwork)
        artwork.reference, artwork.created_at = reference, now
        await self._settle(transaction, video)

    async def failed(self, transaction: Transaction, video_id: str, code: str, reason: str, permanent: bool) -> bool:  # noqa: FBT001 - a field of the event
        """The file can't be used; whether its bytes are of no use to anybody any more."""
        video = await self._locked(transaction, video_id)
        if video is None or video.status != "processing":
            # A film that plays is not taken away because making its artwork again went wrong, and the first reason of a
            # failure is the true one: a job that runs twice finds the file gone.
            return False
        video.status = "failed"
        video.failure_code, video.failure_reason = code[:50], reason[:500]
        if permanent:
            await VideoRepository(transaction.session).remove_files(video)
        touch(video)
        message = video_pb2.VideoFailed(video_id=video_id, code=code, reason=reason)
        await transaction.record(video_event("video.failed", message, video))
        log.warning("video_failed", content_id=video_id, failure_code=code, reason=reason)
        return permanent

    async def discard(self, video_id: str) -> None:
        """Removes the bytes of a video that failed for good; the sweep does it when a crash comes between."""
        await asyncio.to_thread(self._store.remove, folder_reference(video_id))

    async def _locked(self, transaction: Transaction, video_id: str) -> Video | None:
        video = await VideoRepository(transaction.session).locked(video_id)
        if video is None:
            log.warning("video_unknown", content_id=video_id)
        return video

    async def _settle(self, transaction: Transaction, video: Video) -> None:
        """A video is ready when its facts and its thumbnail are there, in whatever order they came."""
        becomes_ready = video.status != "ready" and video.duration_sec is not None and thumbnail_of(video) is not None
        touch(video)
        if becomes_ready:
            video.status = "ready"
            video.failure_code = video.failure_reason = None
            ready = video_pb2.VideoReady(video_id=video.id, title=video.title, duration_sec=video.duration_sec or 0)
            await transaction.record(video_event("video.ready", ready, video))
            log.info("video_ready", content_id=video.id)
        elif video.status == "ready":
            await transaction.record(video_event("video.updated", video_pb2.VideoUpdated(video_id=video.id), video))


class Sweep:
    """Removes what a crash has left in the media store: uploads nobody finished, folders no video owns."""

    def __init__(self, database: Database, store: MediaStore) -> None:
        self._database = database
        self._store = store

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            try:
                await self.once(datetime.now(UTC).timestamp() - ABANDONED_AFTER_SEC)
            except Exception:
                log.exception("sweep_failed")
            await asyncio.sleep(SWEEP_EVERY_SEC)

    async def once(self, older_than: float) -> None:
        """Removes leftovers whose last change is before `older_than`, in seconds since 1970."""
        for name in await asyncio.to_thread(self._store.clear_incoming, older_than):
            log.info("abandoned_upload_removed", name=name)
        old = [name for name, changed in await asyncio.to_thread(self._folders) if changed < older_than]
        for start in range(0, len(old), 500):
            batch = old[start : start + 500]
            async with self._database.read() as session:
                known = await VideoRepository(session).known(batch)
            for name in batch:
                if name not in known:
                    await asyncio.to_thread(self._store.remove, folder_reference(name))
                    log.info("orphaned_folder_removed", content_id=name)

    def _folders(self) -> list[tuple[str, float]]:
        return list(self._store.folders("videos"))


@dataclass(frozen=True, slots=True)
class Overview:
    """How the platform is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    services: dict[str, str]
    dependencies: dict[str, str]


class HealthOverview:
    """Asks every service how it is, through the standard gRPC health protocol."""

    DEPENDENCIES = ("database", "broker", "redis")

    def __init__(self, own: Health, peers: Mapping[str, aio.Channel]) -> None:
        self._own = own
        self._peers = peers

    async def look(self) -> Overview:
        """Asks everybody at once; whoever does not answer in a second is unhealthy."""
        answers = await asyncio.gather(*(self._ask(channel) for channel in self._peers.values()))
        own: dict[str, bool | None] = {"": self._own.is_ready(), **self._own.states()}
        parts = {"catalog": own, **dict(zip(self._peers, answers, strict=True))}
        services = {name: "healthy" if states.get("") else "unhealthy" for name, states in sorted(parts.items())}
        dependencies = {}
        for name in self.DEPENDENCIES:
            told = [states[name] for states in parts.values() if states.get(name) is not None]
            if told:
                dependencies[name] = "connected" if all(told) else "disconnected"
        if "unhealthy" in services.values():
            return Overview("unhealthy", services, dependencies)
        if "disconnected" in dependencies.values():
            return Overview("degraded", services, dependencies)
        return Overview("healthy", services, dependencies)

    async def _ask(self, channel: aio.Channel) -> dict[str, bool | None]:
        try:
            names = ("", *self.DEPENDENCIES)
            states = await asyncio.gather(*(probe(channel, name) for name in names))
        except ApiError:
            return {"": False}
        return dict(zip(names, states, strict=True))


def thumbnail_of(video: Video) -> Artwork | None:
    """The thumbnail of a loaded video, if there is one."""
    return next((artwork for artwork in video.artworks if artwork.kind == THUMBNAIL), None)


def _new_video(
    video_id: str,
    reference: str,
    *,
    size_bytes: int,
    mime_type: str,
    labels: Labels,
    uploader_id: str,
) -> Video:
    now = datetime.now(UTC)
    return Video(
        id=video_id,
        title=labels.title,
        description=labels.description,
        tags=labels.tags,
        status="processing",
        uploader_id=uploader_id,
        corporation_id=labels.corporation_id,
        mime_type=mime_type,
        created_at=now,
        updated_at=now,
        version=1,
        files=[VideoFile(id=new_id(), reference=reference, size_bytes=size_bytes, created_at=now)],
        artworks=[],
    )


def _uploaded(video: Video) -> Event:
    file = video.files[0]
    message = video_pb2.VideoUploaded(
        video_id=video.id,
        reference=file.reference,
        size_bytes=file.size_bytes,
        uploader_id=video.uploader_id,
        title=video.title,
    )
    return video_event(UPLOADED, message, video)


def touch(video: Video) -> None:
    """Notes that a video has changed: the next event tells of a newer version."""
    video.version += 1
    video.updated_at = datetime.now(UTC)


def video_event(type_: str, message: Message, video: Video) -> Event:
    """An event that tells of a video as it is now."""
    return Event.of(type_, message, source=SOURCE, subject=video.id, version=video.version)


def act_event(admin: Admin, action: str, video_id: str = "", **details: Detail) -> Event:
    """An event that tells the audit log what an administrator did to a video; to all of them without an id."""
    return Act(admin, action, "video", video_id, details).event(SOURCE)
