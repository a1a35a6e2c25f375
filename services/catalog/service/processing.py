"""Apply what thumbnailer reports about videos."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import structlog

from kit.db.database import Transaction
from kit.ids import new_id
from kit.media_store import WritableStore
from kit.origins import Stored, parse
from marquee.events.v1 import video_pb2
from services.catalog.artwork import JOB_KINDS, JOB_STATES, ArtworkKind
from services.catalog.domain import SOURCE_MISSING, MediaInfo, PackInfo, folder_of, folder_reference
from services.catalog.models import Artwork, MediaJob, Video
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.events import touch, video_event
from services.catalog.service.protection import PROTECT, PackIntake

log = structlog.get_logger()

Removed: TypeAlias = Sequence[str]
"""References of what is to be removed once the transaction is committed."""
_SHOWN_IN_LISTS = frozenset({ArtworkKind.THUMBNAIL, ArtworkKind.POSTERS})


@dataclass(frozen=True, slots=True)
class JobReport:
    """Which video thumbnailer reports about, and when it did."""

    video: Video
    """Loaded with its files, artwork and jobs, and locked: see `Processing.lock`."""
    time: datetime


@dataclass(frozen=True, slots=True)
class MadeArtwork:
    """Artwork that was written to the media store."""

    kind: ArtworkKind
    reference: str
    details: dict[str, Any] | None = None
    thumbhash: str = ""


class Processing:
    """Applies the reports of thumbnailer, each in the caller's transaction."""

    def __init__(self, store: WritableStore, packs: PackIntake) -> None:
        self._store = store
        self._packs = packs

    async def lock(self, transaction: Transaction, video_ids: Collection[str]) -> dict[str, Video]:
        """Return those of some videos that exist, locked until the transaction ends."""
        videos = {video.id: video for video in await VideoRepository(transaction.session).lock_all(video_ids)}
        for video_id in set(video_ids) - videos.keys():
            log.warning("video_unknown", content_id=video_id)
        return videos

    async def probed(self, transaction: Transaction, report: JobReport, info: MediaInfo) -> Removed:
        """Store what was found in the source: it is a film, and can be watched, also before its artwork is made.

        One that is to be protected can't be watched yet.
        """
        video = report.video
        if video.source is None:
            return []
        video.duration_sec = info.duration_sec
        video.mime_type = info.mime_type
        for asset in (video.source, video.pack, video.new_pack):
            if asset is None:
                continue
            asset.video_codec = info.video_codec
            asset.audio_codec = info.audio_codec or None
            asset.width, asset.height = info.width, info.height
            asset.bitrate_bps = info.bitrate_bps
            asset.details = info.details or asset.details
        _note(video, report, ["facts"], "done")
        touch(video)
        if video.failure_code == SOURCE_MISSING:
            # A scan found its file gone meanwhile; it is shown again when the file is back.
            return []
        if video.status == "ready":
            await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
        elif not video.protection:
            await self._ready(transaction, video, info.duration_sec)
        return await self._packs.settle(transaction, video)

    async def _ready(self, transaction: Transaction, video: Video, duration_sec: float) -> None:
        video.status = "ready"
        video.failure_code = video.failure_reason = None
        ready = video_pb2.VideoReady(video_id=video.id, title=video.title, duration_sec=duration_sec)
        await transaction.record(video_event(ready, video))
        log.info("video_ready", content_id=video.id)

    async def pack_bytes(self, reference: str) -> int | None:
        """Return the size of a pack in the store: see `PackIntake.stored_bytes`."""
        return await self._packs.stored_bytes(reference)

    async def pack_ready(
        self, transaction: Transaction, report: JobReport, reference: str, pack: PackInfo, stored_bytes: int | None
    ) -> Removed:
        """Turn to a pack that was written. Raise OSError unless it is there: see `PackIntake.add_pack`."""
        video = report.video
        if video.pack_asset_id == pack.asset_id:
            _note(video, report, ["protect"], "done")
        return await self._packs.add_pack(transaction, video, reference, pack, stored_bytes)

    async def artwork_ready(self, transaction: Transaction, report: JobReport, made: MadeArtwork) -> Removed:
        """Turn to artwork that was written. What it replaces is to be removed, or it, if it is older than that."""
        video = report.video
        if any(job.kind == made.kind and job.state == "done" and job.updated_at > report.time for job in video.jobs):
            return [_removable(made.kind, made.reference)]
        now = datetime.now(UTC)
        artwork = video.artwork(made.kind)
        replaced = artwork.reference if artwork else None
        if artwork is None:
            artwork = Artwork(id=new_id(), video_id=video.id, kind=made.kind, reference="", created_at=now)
            video.artworks.append(artwork)
        artwork.reference, artwork.details, artwork.created_at = made.reference, made.details, now
        _note(video, report, [made.kind], "done")
        if made.kind is ArtworkKind.THUMBNAIL:
            video.thumbhash = made.thumbhash or None
        touch(video)
        if video.status == "ready" and made.kind in _SHOWN_IN_LISTS:
            await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
        removed = [_removable(made.kind, replaced)] if replaced is not None and replaced != made.reference else []
        return [*removed, *await self._packs.settle(transaction, video)]

    async def job_changed(
        self, transaction: Transaction, report: JobReport, kinds: Sequence[str], state: str, code: str, reason: str
    ) -> Removed:
        """Store how far jobs are."""
        video = report.video
        if state not in JOB_STATES:
            return []
        changed = _note(video, report, [kind for kind in kinds if kind in JOB_KINDS], state, code, reason)
        if PROTECT in changed and state == "failed":
            await self._packs.fail(transaction, video, code, reason)
        return await self._packs.settle(transaction, video)

    async def failed(
        self, transaction: Transaction, report: JobReport, code: str, reason: str, *, is_permanent: bool
    ) -> Removed:
        """Store why the source can't be used. The bytes of a video that failed for good are to be removed."""
        video = report.video
        if video.status != "processing":
            # A film that plays stays ready when making its artwork again fails. The first reason of a failure is the
            # true one: a job that runs twice finds the file gone.
            return []
        video.status = "failed"
        video.failure_code, video.failure_reason = code[:50], reason[:500]
        source = video.source
        # An imported film keeps its reference, or the next import would make another video of the same broken file.
        discards = is_permanent and (source is None or isinstance(parse(source.reference), Stored))
        if discards:
            await VideoRepository(transaction.session).remove_assets(video, video.assets)
        packs = await self._packs.give_up(transaction, video)
        touch(video)
        message = video_pb2.VideoFailed(video_id=video.id, code=code, reason=reason)
        await transaction.record(video_event(message, video))
        log.warning("video_failed", content_id=video.id, failure_code=code, reason=reason)
        return [folder_reference(video.id)] if discards else packs

    async def remove(self, references: Removed) -> None:
        """Remove what a report has left without a row; after a crash in between, the sweep does it."""
        for reference in references:
            await self._store.remove(reference)


def _note(
    video: Video, report: JobReport, kinds: Sequence[str], state: str, code: str = "", reason: str = ""
) -> list[str]:
    """Store the state of jobs, unless a later report came before; return the kinds that were stored."""
    changed = []
    known = {job.kind: job for job in video.jobs}
    for kind in kinds:
        job = known.get(kind)
        if job is None:
            job = MediaJob(video_id=video.id, kind=kind, updated_at=report.time)
            video.jobs.append(job)
        elif job.updated_at > report.time:
            continue
        job.state, job.code, job.reason, job.updated_at = state, code[:50], reason[:500], report.time
        changed.append(kind)
    return changed


def _removable(kind: ArtworkKind, reference: str) -> str:
    """Return what to remove for replaced artwork: the folder of its job; earlier releases had none for thumbnails."""
    if kind is not ArtworkKind.THUMBNAIL:
        return reference
    folder = folder_of(reference)
    return folder if folder.count("/") > folder_reference("").count("/") else reference
