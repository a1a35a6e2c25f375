"""What the jobs make of a film. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from services.thumbnailer.domain import STORYBOARD_SHEET_TILES, JobKind, MediaFailure, MediaInfo

PACK: Final = "pack.lsv"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The file `thumbnail.jpg`."""

    thumbhash: str
    """A blurred placeholder of some 25 bytes, in Base64."""


@dataclass(frozen=True, slots=True)
class Posters:
    """The files `poster-WIDTH.jpg` and `poster-WIDTH.webp`."""

    widths: tuple[int, ...]
    """In pixels, ascending."""
    width: int
    """Of the largest."""
    height: int


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The files `storyboard-NUMBER.jpg`, counted from 0."""

    duration_sec: float
    interval_sec: float
    tiles: int
    tile_width: int
    tile_height: int


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A track of subtitles."""

    index: int
    """Its number in the file, counted from 0 over all tracks."""
    codec: str
    language: str
    title: str
    default: bool
    forced: bool
    sdh: bool
    """For the deaf and hard of hearing."""
    text: bool
    """It can be converted to WebVTT."""


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A sound track."""

    index: int
    codec: str
    language: str
    title: str
    default: bool
    channels: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named part of a film."""

    start_sec: float
    end_sec: float
    title: str


@dataclass(frozen=True, slots=True)
class Details:
    """What facts hold beside `MediaInfo`."""

    audio: tuple[AudioTrack, ...]
    subtitles: tuple[SubtitleTrack, ...]
    chapters: tuple[Chapter, ...]
    color_primaries: str
    color_transfer: str
    hdr: str
    rotation: int
    frame_rate: float
    bit_depth: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a film."""

    info: MediaInfo
    details: Details


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The files `subtitles-INDEX.vtt`, one a track."""

    tracks: tuple[SubtitleTrack, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """The file of the name `PACK`."""

    size_bytes: int
    mime_type: str
    """With codecs."""
    duration_sec: float
    pack_id: str
    key_id: str
    content_version: int


Result: TypeAlias = Facts | Thumbnail | Posters | Storyboard | Subtitles | Pack


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of a child that inspects made of a film."""

    results: dict[JobKind, Result] = field(default_factory=dict)
    failures: dict[JobKind, MediaFailure] = field(default_factory=dict)
    files: dict[JobKind, dict[str, bytes]] = field(default_factory=dict)
    """By kind and name."""

    @property
    def facts(self) -> Facts | None:
        """The facts, if they were asked for."""
        found = self.results.get(JobKind.FACTS)
        return found if isinstance(found, Facts) else None


def file_names(result: Result) -> list[str]:
    """Return the names of the files of a result, in the order in which they are made."""
    match result:
        case Posters():
            return [f"poster-{width}.{ending}" for width in result.widths for ending in ("jpg", "webp")]
        case Storyboard():
            return [f"storyboard-{number}.jpg" for number in range(-(-result.tiles // STORYBOARD_SHEET_TILES))]
        case Subtitles():
            return [f"subtitles-{track.index}.vtt" for track in result.tracks]
        case Thumbnail():
            return ["thumbnail.jpg"]
        case _:
            return []
