"""Protect films: ask for a pack, and turn to it once it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from kit.audit import Admin
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.ids import is_id, new_id
from kit.media_store import WritableStore
from kit.origins import Stored, parse
from marquee.events.v1 import video_pb2
from services.catalog.artwork import is_artwork_pending
from services.catalog.domain import LSV, AssetKind, PackInfo, ProcessingKind, ProtectedSource, folder_of
from services.catalog.models import Asset, Video
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.events import PackRequest, audit_event, process_requested_event, touch, video_event

log = structlog.get_logger()

PROTECT = "protect"
"""The kind of the job that makes a pack."""
_ACTIVE = frozenset({"waiting", "running", "retrying"})


def ask_for_pack(video: Video) -> PackRequest:
    """Draw the asset that a video's next pack becomes; a pack that was asked for before is not waited for any more."""
    video.pack_asset_id = new_id()
    return PackRequest(video.pack_asset_id, max((asset.version for asset in video.assets), default=0) + 1)


def pack_requested_event(video: Video, source: Asset, kinds: Iterable[str] = ()) -> Event:
    """Return the event that has a video's source packed; `kinds` names other jobs to do, too."""
    return process_requested_event(video.id, source.reference, [*kinds, PROTECT], ask_for_pack(video))


def repack_requested_event(video: Video, pack: Asset) -> Event:
    """Return the event that has a video's pack made anew: of its source, or of the pack where that is gone."""
    if video.source is not None:
        return pack_requested_event(video, video.source)
    return process_requested_event(video.id, pack.reference, [PROTECT], replace(ask_for_pack(video), present=pack))


def processing_event(video: Video, source: Asset) -> Event:
    """Return the event that has everything of a video made again; of one that awaits its pack, the pack too."""
    if video.protection and video.pack is None:
        return pack_requested_event(video, source, [kind.value for kind in ProcessingKind])
    return process_requested_event(video.id, source.reference)


class PackIntake:
    """Turns videos to their packs, each in the caller's transaction.

    A protected film is ready once its facts, all artwork and the pack are there: they are made of the source, which is
    removed then.

    Args:
        store: where packs are.
        source: what happens to a source in the store.
    """

    def __init__(self, store: WritableStore, source: ProtectedSource) -> None:
        self._store = store
        self._source = source

    async def stored_bytes(self, reference: str) -> int | None:
        """Return the size of a pack in the store, to be asked before a transaction; None when it is not there.

        Raises:
            OSError: the store is away.
        """
        try:
            return await self._store.size(reference)
        except FileNotFoundError:
            return None

    async def add_pack(
        self, transaction: Transaction, video: Video, reference: str, pack: PackInfo, stored_bytes: int | None
    ) -> list[str]:
        """Take a pack that was written; return the references of what is to be removed after the commit.

        Args:
            transaction: of the caller.
            video: the video, locked.
            reference: of the pack.
            pack: as it was reported.
            stored_bytes: its size in the store; None when it is not there.

        Raises:
            OSError: the file is not there as it was reported. Nothing is removed before it is.
        """
        if any(asset.reference == reference for asset in video.assets):
            return []
        # It stays known when the source is removed.
        facts = video.film
        if video.pack_asset_id != pack.asset_id or facts is None:
            log.info("pack_outdated", content_id=video.id)
            return [folder_of(reference)]
        if stored_bytes != pack.size_bytes:
            raise OSError(f"{reference} has {stored_bytes or 0} bytes, not {pack.size_bytes}")
        video.assets.append(
            Asset(
                id=pack.asset_id,
                video_id=video.id,
                kind=AssetKind.LSV,
                reference=reference,
                size_bytes=pack.size_bytes,
                version=pack.content_version,
                sha256=facts.sha256,
                video_codec=facts.video_codec,
                audio_codec=facts.audio_codec,
                width=facts.width,
                height=facts.height,
                bitrate_bps=facts.bitrate_bps,
                details=facts.details,
                created_at=datetime.now(UTC),
            )
        )
        return await self.settle(transaction, video)

    async def settle(self, transaction: Transaction, video: Video) -> list[str]:
        """Turn a video to its new pack if all is there that is made of its source.

        Returns:
            References of what is to be removed after the commit: the source, and packs that were replaced.
        """
        pack = video.new_pack
        if pack is None or video.status == "failed" or video.duration_sec is None:
            return []
        if is_artwork_pending(video.status, video.jobs, pack.details):
            return []
        removed = [asset for asset in video.assets if asset.kind == AssetKind.LSV and asset is not pack]
        source = video.source
        if source is not None and self._source == "remove" and isinstance(parse(source.reference), Stored):
            removed.append(source)
        await VideoRepository(transaction.session).remove_assets(video, removed)
        video.protection, video.pack_asset_id = LSV, None
        touch(video)
        if video.status == "ready":
            await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
        else:
            video.status = "ready"
            video.failure_code = video.failure_reason = None
            ready = video_pb2.VideoReady(video_id=video.id, title=video.title, duration_sec=video.duration_sec)
            await transaction.record(video_event(ready, video))
        log.info("video_protected", content_id=video.id, bytes=pack.size_bytes)
        return [folder_of(a.reference) if a.kind == AssetKind.LSV else a.reference for a in removed]

    async def give_up(self, transaction: Transaction, video: Video) -> list[str]:
        """Wait for no pack any more; return the reference of one that had come, to be removed after the commit."""
        pack, video.pack_asset_id = video.new_pack, None
        if pack is None:
            return []
        await VideoRepository(transaction.session).remove_assets(video, [pack])
        return [folder_of(pack.reference)]

    async def fail(self, transaction: Transaction, video: Video, code: str, reason: str) -> None:
        """Give up the pack that a video waits for. One that plays already stays as it is.

        The source of a failed video stays, for another try; it is not served.
        """
        video.pack_asset_id = None
        if video.status != "processing" or not video.protection:
            return
        video.status, video.failure_code, video.failure_reason = "failed", code[:50], reason[:500]
        touch(video)
        await transaction.record(video_event(video_pb2.VideoFailed(video_id=video.id, code=code, reason=reason), video))
        log.warning("video_failed", content_id=video.id, failure_code=code, reason=reason)


class Protection:
    """Protects films on behalf of administrators.

    Args:
        database: where the videos are.
        store: where packs are.
    """

    def __init__(self, database: Database, store: WritableStore) -> None:
        self._database = database
        self._store = store

    async def protect(self, video_id: str, admin: Admin) -> Video:
        """Have a film protected. One that can be watched stays so, as it was, until its pack is there.

        Raises:
            ApiError: CONTENT_NOT_FOUND; UPLOAD_INVALID_MEDIA when its file is gone, because it can never be played.
        """
        async with self._database.write() as transaction:
            video = await self._get(transaction, video_id)
            source = video.source
            if video.pack is not None or video.new_pack is not None or _is_being_packed(video):
                return video
            if source is None:
                raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA)
            if video.status != "ready":
                video.protection = LSV
            was_failed = video.status == "failed"
            if was_failed:
                video.status, video.failure_code, video.failure_reason = "processing", None, None
            touch(video)
            event = processing_event(video, source) if was_failed else pack_requested_event(video, source)
            await transaction.record(event)
            await transaction.record(audit_event(admin, "video.protect_requested", video.id, title=video.title))
        log.info("video_protect_requested", content_id=video_id, user_id=admin.user_id)
        return video

    async def rekey(self, video_id: str, admin: Admin) -> Video:
        """Have a protected film packed again with another key; the present pack is served until that is there.

        Raises:
            ApiError: CONTENT_NOT_FOUND; CONTENT_NOT_READY for one that is not protected.
        """
        async with self._database.write() as transaction:
            video = await self._get(transaction, video_id)
            if video.pack is None:
                raise ApiError(ErrorCode.CONTENT_NOT_READY)
            if _is_being_packed(video):
                return video
            touch(video)
            await transaction.record(repack_requested_event(video, video.pack))
            await transaction.record(audit_event(admin, "video.rekey_requested", video.id, title=video.title))
        log.info("video_rekey_requested", content_id=video_id, user_id=admin.user_id)
        return video

    async def unprotect(self, video_id: str, admin: Admin) -> Video:
        """Serve a film as it was brought in, and remove its packs; a pack that is being made is not waited for.

        Licences for offline playback of copies that browsers have stay until they end.

        Raises:
            ApiError: CONTENT_NOT_FOUND; CONTENT_NOT_READY for one that waits for its first pack;
                CONTENT_SOURCE_REMOVED when only its pack is left.
        """
        async with self._database.write() as transaction:
            video = await self._get(transaction, video_id)
            if not video.protection and video.pack_asset_id is None:
                return video
            if video.status != "ready":
                raise ApiError(ErrorCode.CONTENT_NOT_READY)
            if video.source is None:
                raise ApiError(ErrorCode.CONTENT_SOURCE_REMOVED)
            packs = [asset for asset in video.assets if asset.kind == AssetKind.LSV]
            await VideoRepository(transaction.session).remove_assets(video, packs)
            video.protection, video.pack_asset_id = "", None
            touch(video)
            await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
            await transaction.record(audit_event(admin, "video.unprotected", video.id, title=video.title))
        log.info("video_unprotected", content_id=video_id, user_id=admin.user_id)
        for pack in packs:
            # What a crash leaves here, the sweep removes.
            await self._store.remove(folder_of(pack.reference))
        return video

    @staticmethod
    async def _get(transaction: Transaction, video_id: str) -> Video:
        video = await VideoRepository(transaction.session).get_locked(video_id) if is_id(video_id) else None
        if video is None or video.deleted_at is not None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return video


def _is_being_packed(video: Video) -> bool:
    states = {job.kind: job.state for job in video.jobs}
    return video.pack_asset_id is not None and states.get(PROTECT) in _ACTIVE
