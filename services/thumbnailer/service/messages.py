"""The messages that thumbnailer publishes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from marquee.events.v1 import job_pb2, media_pb2
from services.thumbnailer.domain import (
    STORYBOARD_COLUMNS,
    STORYBOARD_SHEET_TILES,
    JobKind,
    MediaFailure,
)
from services.thumbnailer.lanes import Lane
from services.thumbnailer.results import (
    PACK,
    Facts,
    Pack,
    Posters,
    Result,
    Storyboard,
    Subtitles,
    SubtitleTrack,
    Thumbnail,
)
from services.thumbnailer.service.job import Job

QUEUED: dict[Lane, Any] = {
    Lane.UPLOAD_FACTS: job_pb2.UploadFactsQueued,
    Lane.UPLOAD_ARTWORK: job_pb2.UploadArtworkQueued,
    Lane.IMPORT_FACTS: job_pb2.ImportFactsQueued,
    Lane.IMPORT_ARTWORK: job_pb2.ImportArtworkQueued,
    Lane.REPROCESS: job_pb2.ReprocessQueued,
    Lane.PROTECT: job_pb2.ProtectQueued,
}
"""The message, and with it the queue, of each lane."""


def queued(lane: Lane, job: Job, kinds: Sequence[JobKind]) -> Message:
    """Return the message that puts jobs for a film into a lane."""
    message: Message = QUEUED[lane](
        job=job_pb2.MediaJob(
            video_id=job.video_id,
            reference=job.reference,
            kinds=_names(kinds),
            pack_asset_id=job.pack_asset_id,
            content_version=job.content_version,
            present_pack_asset_id=job.present_pack_asset_id,
            present_content_version=job.present_content_version,
        )
    )
    return message


def changed(video_id: str, kinds: Iterable[JobKind], state: str, failure: MediaFailure | None = None) -> Message:
    """Return the message that tells of the progress of jobs."""
    return media_pb2.MediaJobChanged(
        video_id=video_id,
        kinds=_names(kinds),
        state=state,
        code=failure.code if failure else "",
        reason=failure.reason if failure else "",
    )


def failed(video_id: str, failure: MediaFailure) -> Message:
    """Return the message that a file is no film that can be shown."""
    return media_pb2.MediaFailed(
        video_id=video_id, code=failure.code, reason=failure.reason, permanent=failure.permanent
    )


def result(job: Job, folder: str, kind: JobKind, made: Result) -> Message:
    """Return the message about a result.

    Args:
        job: with the film.
        folder: reference of the result's files.
        kind: of the job.
        made: its result.
    """
    video_id = job.video_id
    match made:
        case Facts():
            return _probed(video_id, job.reference, made)
        case Thumbnail():
            return media_pb2.MediaThumbnailReady(
                video_id=video_id, reference=f"{folder}/{kind.value}.jpg", thumbhash=made.thumbhash
            )
        case Posters():
            return media_pb2.MediaPostersReady(
                video_id=video_id, reference=folder, widths=made.widths, width=made.width, height=made.height
            )
        case Storyboard():
            return media_pb2.MediaStoryboardReady(
                video_id=video_id,
                reference=folder,
                interval_sec=made.interval_sec,
                duration_sec=made.duration_sec,
                tiles=made.tiles,
                tile_width=made.tile_width,
                tile_height=made.tile_height,
                columns=STORYBOARD_COLUMNS,
                tiles_a_sheet=STORYBOARD_SHEET_TILES,
            )
        case Subtitles():
            tracks = [_subtitle_track(track) for track in made.tracks]
            return media_pb2.MediaSubtitlesExtracted(video_id=video_id, reference=folder, tracks=tracks)
        case Pack():
            return media_pb2.MediaProtectedReady(
                video_id=video_id,
                asset_id=job.pack_asset_id,
                reference=f"{folder}/{PACK}",
                size_bytes=made.size_bytes,
                mime_type=made.mime_type,
                duration_sec=made.duration_sec,
                pack_id=made.pack_id,
                key_id=made.key_id,
                content_version=made.content_version,
            )


def key_of(message: Any) -> list[str]:
    """Return what tells messages of one type and one cause from each other."""
    if isinstance(message, media_pb2.MediaJobChanged):
        return [*message.kinds, message.state]
    return list(message.job.kinds) if type(message) in QUEUED.values() else []


def _probed(video_id: str, source: str, facts: Facts) -> Message:
    info, details = facts.info, facts.details
    return media_pb2.MediaProbed(
        video_id=video_id,
        reference=source,
        duration_sec=info.duration_sec,
        mime_type=info.mime_type,
        video_codec=info.video_codec,
        audio_codec=info.audio_codec or "",
        width=info.width,
        height=info.height,
        bitrate_bps=info.bitrate_bps,
        details=media_pb2.MediaDetails(
            audio=[
                media_pb2.AudioTrack(
                    index=track.index,
                    codec=track.codec,
                    language=track.language,
                    title=track.title,
                    channels=track.channels,
                    default=track.default,
                )
                for track in details.audio
            ],
            subtitles=[_subtitle_track(track) for track in details.subtitles],
            chapters=[
                media_pb2.Chapter(start_sec=each.start_sec, end_sec=each.end_sec, title=each.title)
                for each in details.chapters
            ],
            color_primaries=details.color_primaries,
            color_transfer=details.color_transfer,
            rotation=details.rotation,
            hdr=details.hdr,
            frame_rate=details.frame_rate,
            bit_depth=details.bit_depth,
        ),
    )


def _subtitle_track(track: SubtitleTrack) -> media_pb2.SubtitleTrack:
    return media_pb2.SubtitleTrack(
        index=track.index,
        codec=track.codec,
        language=track.language,
        title=track.title,
        forced=track.forced,
        sdh=track.sdh,
        default=track.default,
        text=track.text,
    )


def _names(kinds: Iterable[JobKind]) -> list[str]:
    return [kind.value for kind in kinds]
