"""Take the subtitles that thumbnailer found inside a film as tracks of the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from kit.media_store import WritableStore
from services.catalog.captions import InvalidSubtitlesError, Track
from services.catalog.captions.names import UNKNOWN, canonical_language
from services.catalog.domain import SubtitleSource
from services.catalog.service.subtitles import MAX_STORED_BYTES, Prepared, Subtitles

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EmbeddedTrack:
    """A track of subtitles in a film, extracted as WebVTT.

    Attributes:
        index: its number in the film, and in the name of its file.
        language: as the film has it, mostly three letters (ISO 639-2); may be empty or wrong.
        title: as the film has it.
        forced: only for what is spoken in another language than the film's.
        sdh: for people who are deaf or hard of hearing.
    """

    index: int
    language: str
    title: str
    forced: bool
    sdh: bool


async def attach_embedded(
    subtitles: Subtitles, store: WritableStore, video_id: str, folder: str, tracks: Sequence[EmbeddedTrack]
) -> None:
    """Make these the embedded subtitles of a video: of several with one language and purpose, the first.

    Done again it changes nothing.

    Raises:
        OSError: the media store is away.
    """
    found: dict[Track, tuple[Track, str, Prepared]] = {}
    for each in tracks:
        track = Track(_language(each.language), forced=each.forced, sdh=each.sdh)
        if track in found:
            continue
        try:
            data = await store.read(f"{folder}/subtitles-{each.index}.vtt", MAX_STORED_BYTES)
            prepared = await subtitles.prepare(data)
        except (FileNotFoundError, InvalidSubtitlesError) as error:
            # A later run may have replaced the folder; what it wrote comes with an event of its own.
            log.warning("embedded_subtitles_skipped", content_id=video_id, track=each.index, reason=str(error))
            continue
        found[track] = (track, each.title, prepared)
    await subtitles.attach(video_id, SubtitleSource.EMBEDDED, list(found.values()))


def _language(tag: str) -> str:
    try:
        return canonical_language(tag)
    except ValueError:
        return UNKNOWN
