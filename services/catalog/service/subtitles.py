"""Subtitles of videos: take them in any common form, keep them as WebVTT, show them by the rule of the film."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from kit.audit import Admin
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id, new_id
from kit.media_store import WritableStore
from marquee.events.v1 import video_pb2
from services.catalog.captions import Captions, Decoded, InvalidSubtitlesError, Track, decode, parse_track, to_webvtt
from services.catalog.captions.convert import MAX_BYTES
from services.catalog.domain import Caller, SubtitleSource, may_change
from services.catalog.models import Subtitle, Video
from services.catalog.repository.subtitles import SubtitleRepository
from services.catalog.repository.videos import VideoRepository, VisibleVideoRepository
from services.catalog.service.events import audit_event, touch, video_event
from services.catalog.service.uploads import storage_error

log = structlog.get_logger()

MAX_STORED_BYTES: Final = 32 * 2**20
"""Of a WebVTT file in the store, whether it was converted here or by thumbnailer: more than both make."""
_PARSED_AT_ONCE: Final = 2
"""Files that a process converts at a time: each takes a thread for up to seconds."""
_RANK: Final = {SubtitleSource.EMBEDDED: 0, SubtitleSource.SIDECAR: 1, SubtitleSource.UPLOADED: 2}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A subtitle file, converted."""

    captions: Captions
    decoded: Decoded


@dataclass(frozen=True, slots=True)
class NewSubtitles:
    """A subtitle file that a person uploads."""

    track: Track
    title: str
    data: bytes
    encoding: str
    """Its encoding if the person says so; empty to find out."""


class Subtitles:
    """The subtitles of videos."""

    def __init__(self, database: Database, store: WritableStore) -> None:
        self._database = database
        self._store = store
        self._slots = asyncio.Semaphore(_PARSED_AT_ONCE)

    async def list(self, video_id: str, caller: Caller) -> Sequence[Subtitle]:
        """Return the tracks of a video that the caller may see. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            if not is_id(video_id) or await VisibleVideoRepository(session, caller).get(video_id) is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            return await SubtitleRepository(session).of_video(video_id)

    async def get(self, video_id: str, name: str, caller: Caller) -> Subtitle:
        """Return one track. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            if is_id(video_id) and await VisibleVideoRepository(session, caller).get(video_id):
                subtitle = await SubtitleRepository(session).get(video_id, _name(name))
                if subtitle is not None:
                    return subtitle
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def read(self, subtitle: Subtitle) -> bytes:
        """Return the WebVTT of a track. Raises ApiError: STREAM_FILE_UNAVAILABLE when the media store is away."""
        try:
            return await self._store.read(subtitle.reference, MAX_STORED_BYTES)
        except OSError as error:
            log.error("subtitles_unreadable", content_id=subtitle.video_id, reason=str(error))
            raise ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE) from error

    async def prepare(self, data: bytes, encoding: str = "") -> Prepared:
        """Find out the encoding of a file and convert it, in a thread.

        Raises:
            InvalidSubtitlesError: it is no subtitle file, beyond the limits, or not in that encoding.
        """
        async with self._slots:
            return await asyncio.to_thread(_prepare, data, encoding)

    async def put(self, video_id: str, new: NewSubtitles, caller: Caller, address: str) -> tuple[Subtitle, Captions]:
        """Take a file as a track of a video, in place of the one before. Return it and what it was converted to.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for another user's video; UPLOAD_INVALID_MEDIA with the reason;
                VALIDATION_FAILED for the field `encoding`; STORAGE_FULL, STREAM_FILE_UNAVAILABLE.
        """
        async with self._database.read() as session:
            _own(await _visible(VisibleVideoRepository(session, caller), video_id), caller)
        try:
            prepared = await self.prepare(new.data, new.encoding)
        except InvalidSubtitlesError as error:
            if new.encoding and error.__cause__ is not None:
                raise invalid_field("encoding", str(error)) from error
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, f"No subtitles: {error}.") from error
        subtitle = _row(video_id, new.track, new.title, SubtitleSource.UPLOADED, prepared)
        try:
            await self._store.put(subtitle.reference, prepared.captions.webvtt.encode())
        except OSError as error:
            raise storage_error(error) from error
        try:
            async with self._database.write() as transaction:
                videos = VisibleVideoRepository(transaction.session, caller)
                video = _own(await _visible(videos, video_id, lock=True), caller)
                former = await SubtitleRepository(transaction.session).put(subtitle)
                await _record(transaction, video, caller, address)
        except Exception:
            await self._store.remove(subtitle.reference)
            raise
        await self._remove(former)
        log.info("subtitles_stored", content_id=video_id, track=subtitle.track, user_id=caller.user_id)
        return subtitle, prepared.captions

    async def delete(self, video_id: str, name: str, caller: Caller, address: str) -> None:
        """Remove a track. Raises ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for another user's video."""
        async with self._database.write() as transaction:
            videos = VisibleVideoRepository(transaction.session, caller)
            video = _own(await _visible(videos, video_id, lock=True), caller)
            subtitles = SubtitleRepository(transaction.session)
            subtitle = await subtitles.get(video_id, _name(name))
            if subtitle is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            await subtitles.delete(subtitle)
            await _record(transaction, video, caller, address)
        await self._remove(subtitle)
        log.info("subtitles_removed", content_id=video_id, track=subtitle.track, user_id=caller.user_id)

    async def attach(self, video_id: str, source: SubtitleSource, found: Sequence[tuple[Track, str, Prepared]]) -> None:
        """Make these the tracks of a video that have this source. What a person uploaded keeps its place.

        Args:
            video_id: the video; nothing happens if it is gone.
            source: where they come from; tracks of this source that are not among them are removed.
            found: track, title and converted file of each.

        Raises:
            OSError: the media store did not take them; nothing has changed.
        """
        rows = []
        for track, title, prepared in found:
            row = _row(video_id, track, title, source, prepared)
            await self._store.put(row.reference, prepared.captions.webvtt.encode())
            rows.append(row)
        former: list[Subtitle] = []
        try:
            async with self._database.write() as transaction:
                former += await _exchange(transaction, video_id, source, rows)
        except Exception:
            former = rows
            raise
        finally:
            for row in former:
                await self._remove(row)

    async def _remove(self, subtitle: Subtitle | None) -> None:
        if subtitle is not None:
            try:
                await self._store.remove(subtitle.reference)
            except OSError as error:
                # It stays until its video is removed; the change itself has been made.
                log.warning("subtitles_not_removed", content_id=subtitle.video_id, reason=str(error))


async def _exchange(
    transaction: Transaction, video_id: str, source: SubtitleSource, rows: Sequence[Subtitle]
) -> list[Subtitle]:
    """Return the rows whose files are not needed any more: former ones, and new ones that were not taken."""
    session = transaction.session
    video = await VideoRepository(session).get_locked(video_id)
    if video is None:
        return list(rows)
    subtitles = SubtitleRepository(session)
    present = {each.track: each for each in await subtitles.of_video(video_id)}
    unused = [each for each in present.values() if each.source == source]
    for each in unused:
        await subtitles.delete(each)
    for row in rows:
        taken = present.get(row.track)
        if taken is not None and _RANK[SubtitleSource(taken.source)] > _RANK[source]:
            unused.append(row)
        elif former := await subtitles.put(row):
            unused.append(former)
    if rows or unused:
        touch(video)
        await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
    return unused


def _prepare(data: bytes, encoding: str) -> Prepared:
    if len(data) > MAX_BYTES:
        raise InvalidSubtitlesError("the file is too large")
    try:
        decoded = decode(data, encoding)
    except ValueError as error:
        raise InvalidSubtitlesError(str(error)) from error
    return Prepared(to_webvtt(decoded.text), decoded)


def _row(video_id: str, track: Track, title: str, source: SubtitleSource, prepared: Prepared) -> Subtitle:
    identifier = new_id()
    return Subtitle(
        id=identifier,
        video_id=video_id,
        track=track.name,
        language=track.language,
        title=title,
        source=source,
        forced=track.forced,
        sdh=track.sdh,
        reference=f"videos/{video_id}/subtitles/{identifier}.vtt",
        encoding=prepared.decoded.encoding,
        encoding_confidence=prepared.decoded.confidence,
        cues=prepared.captions.cues,
        created_at=datetime.now(UTC),
    )


async def _visible(videos: VisibleVideoRepository, video_id: str, *, lock: bool = False) -> Video | None:
    return await videos.get(video_id, lock=lock) if is_id(video_id) else None


def _own(video: Video | None, caller: Caller) -> Video:
    if video is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    if not may_change(caller, video):
        raise ApiError(ErrorCode.AUTH_FORBIDDEN)
    return video


async def _record(transaction: Transaction, video: Video, caller: Caller, address: str) -> None:
    touch(video)
    await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
    if caller.is_admin:
        admin = Admin(caller.user_id, address)
        await transaction.record(
            audit_event(admin, "video.changed", video.id, title=video.title, changed=["subtitles"])
        )


def _name(name: str) -> str:
    """Return the canonical name of a track; one that can't be is as good as unknown."""
    try:
        return parse_track(name).name
    except ValueError:
        return ""
