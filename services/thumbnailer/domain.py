"""Rules about media files: their information, where the thumbnail is taken, what can be wrong. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Self

THUMBNAIL_WIDTH: Final = 320
THUMBNAIL_MAX_SEC: Final = 5.0
THUMBNAIL_FRACTION: Final = 0.1
LATER_THUMBNAIL_FACTORS: Final = (2, 4)
"""Multiples of the thumbnail's time at which to look next for a picture, if that one shows nothing."""
LATER_THUMBNAIL_FRACTIONS: Final = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""Fractions of the duration at which to look after that."""

POSTER_WIDTHS: Final = (320, 640, 1280)
STORYBOARD_INTERVAL_SEC: Final = 10.0
"""The longest time between two pictures of a storyboard."""
STORYBOARD_SHEET_TILES: Final = 100
"""Pictures of one sheet: at most 1,000 s of film."""
STORYBOARD_COLUMNS: Final = 10
STORYBOARD_TILE_WIDTH: Final = 160
STORYBOARD_SHORT_TILES: Final = 20
"""Pictures of a film that is too short for as many at the longest interval, if they are a second apart or more."""
TEXT_SUBTITLES: Final = frozenset({"mov_text", "subrip", "ass", "webvtt", "text"})
"""Kinds of subtitles that hold text, by FFmpeg's names."""
MAX_TRACKS: Final = 256
MAX_CHAPTERS: Final = 1000
MAX_LABEL_CHARS: Final = 200

MAX_PIXELS: Final = 8192 * 8192
"""The largest picture that is decoded: twice 8K, so that a decoded frame still fits the memory limit."""

MAX_DURATION_SEC: Final = 30 * 24 * 3600
"""Longest duration that is believed: a file that claims more than a month has a damaged index."""

FILE_MISSING: Final = "FILE_MISSING"
FILE_UNREADABLE: Final = "FILE_UNREADABLE"
THUMBNAIL_UNWRITABLE: Final = "THUMBNAIL_UNWRITABLE"
EMPTY_FILE: Final = "EMPTY_FILE"
NOT_A_VIDEO: Final = "NOT_A_VIDEO"
UNSUPPORTED_CONTAINER: Final = "UNSUPPORTED_CONTAINER"
TRUNCATED: Final = "TRUNCATED"
DAMAGED: Final = "DAMAGED"
NO_VIDEO_TRACK: Final = "NO_VIDEO_TRACK"
UNSUPPORTED_CODEC: Final = "UNSUPPORTED_CODEC"
UNSUPPORTED_RESOLUTION: Final = "UNSUPPORTED_RESOLUTION"
PROTECTED: Final = "PROTECTED"
NO_PICTURE: Final = "NO_PICTURE"
TIME_LIMIT: Final = "TIME_LIMIT"
MEMORY_LIMIT: Final = "MEMORY_LIMIT"
DECODER_CRASHED: Final = "DECODER_CRASHED"
ORIGIN_REFUSES: Final = "ORIGIN_REFUSES"
TOO_LARGE_TO_STAGE: Final = "TOO_LARGE_TO_STAGE"
INTERRUPTED: Final = "INTERRUPTED"
SERVER_BUSY: Final = "SERVER_BUSY"
NEEDS_TRANSCODING: Final = "NEEDS_TRANSCODING"
PACK_UNWRITABLE: Final = "PACK_UNWRITABLE"
KEYS_UNAVAILABLE: Final = "KEYS_UNAVAILABLE"

_RETRY_MAY_HELP: Final = frozenset(
    {
        FILE_MISSING,
        FILE_UNREADABLE,
        THUMBNAIL_UNWRITABLE,
        TIME_LIMIT,
        ORIGIN_REFUSES,
        TOO_LARGE_TO_STAGE,
        INTERRUPTED,
        SERVER_BUSY,
        PACK_UNWRITABLE,
        KEYS_UNAVAILABLE,
    }
)
_NOT_AT_ONCE: Final = frozenset({TIME_LIMIT, ORIGIN_REFUSES, TOO_LARGE_TO_STAGE})
"""Another try may help after an operator has changed something; at once it would cost as much and fail the same way."""

_REASONS: Final = {
    FILE_MISSING: "The file is not in the media store. Check that the store is mounted, then try again.",
    FILE_UNREADABLE: "The media store could not read the file. Check the disk or the share, then try again.",
    THUMBNAIL_UNWRITABLE: "The thumbnail could not be saved. Check that the store is writable and not full.",
    EMPTY_FILE: "The file is empty. Upload it again.",
    NOT_A_VIDEO: "This is not a video file, whatever its name says. Upload an MP4, MOV, WebM or MKV file.",
    UNSUPPORTED_CONTAINER: "This kind of video file is not supported. Convert it to MP4, MOV, WebM or MKV.",
    TRUNCATED: "The file ends too early: a part of it is missing. Upload the whole file again.",
    DAMAGED: "The file's index is damaged. Export or convert it again, then upload it.",
    NO_VIDEO_TRACK: "The file has no video track, only sound or other data.",
    UNSUPPORTED_CODEC: "This kind of compression is not supported. Convert it to H.264, HEVC, VP9 or AV1.",
    UNSUPPORTED_RESOLUTION: "The picture is too large, or has no size. Convert it to at most 7680x4320.",
    PROTECTED: "The video is copy-protected, so that it can't be opened.",
    NO_PICTURE: "Not one picture could be decoded. Export or convert the video again.",
    TIME_LIMIT: "Looking into the file took too long. It may work when the server is less busy.",
    MEMORY_LIMIT: "The file takes too much memory to look into. Convert it to a smaller resolution.",
    DECODER_CRASHED: "The file made the decoder fail. It is probably damaged: export or convert it again.",
    ORIGIN_REFUSES: "Where the film lies, it can't be read. Check its address and who may read it, then try again.",
    TOO_LARGE_TO_STAGE: "The film must be fetched whole to be looked into, and is larger than allowed"
    " (MARQUEE_STAGING_MAX_BYTES).",
    INTERRUPTED: "Looking into the file was interrupted from outside. It can be tried again.",
    SERVER_BUSY: "The server has no room to work. Check its memory and temporary space, then try again.",
    NEEDS_TRANSCODING: "Browsers can't play this film in protected form: its compression is not for them, or a picture"
    " is too large. Convert it to H.264 with AAC, then upload it.",
    PACK_UNWRITABLE: "The protected film could not be saved. Check that the store is writable and has twice its room.",
    KEYS_UNAVAILABLE: "The key of the protected film can't be had. Check that stream runs, and has a database.",
}

_CODECS: Final = {
    # Video, by FFmpeg's canonical names.
    "h264": "H.264",
    "hevc": "HEVC",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg1video": "MPEG-1",
    "mpeg2video": "MPEG-2",
    "mpeg4": "MPEG-4",
    "h263": "H.263",
    "prores": "ProRes",
    "dnxhd": "DNxHD",
    "mjpeg": "Motion JPEG",
    # Audio.
    "aac": "AAC",
    "mp3": "MP3",
    "mp2": "MP2",
    "ac3": "Dolby Digital",
    "eac3": "Dolby Digital Plus",
    "truehd": "Dolby TrueHD",
    "dts": "DTS",
    "opus": "Opus",
    "vorbis": "Vorbis",
    "flac": "FLAC",
    "alac": "ALAC",
    "amr_nb": "AMR",
    "amr_wb": "AMR-WB",
    # Subtitles.
    "mov_text": "Timed Text",
    "subrip": "SubRip",
    "ass": "ASS",
    "webvtt": "WebVTT",
    "hdmv_pgs_subtitle": "PGS",
    "dvd_subtitle": "VobSub",
    "dvb_subtitle": "DVB",
}

_CONTAINERS: Final = {
    "mp4": ("MP4", "video/mp4"),
    "quicktime": ("QuickTime", "video/quicktime"),
    "webm": ("WebM", "video/webm"),
    "matroska": ("Matroska", "video/x-matroska"),
}


class JobKind(StrEnum):
    """What can be made of a film, each with its own result; facts come first."""

    FACTS = "facts"
    THUMBNAIL = "thumbnail"
    POSTERS = "posters"
    STORYBOARD = "storyboard"
    SUBTITLES = "subtitles"
    PROTECT = "protect"


INSPECTIONS: Final[tuple[JobKind, ...]] = tuple(kind for kind in JobKind if kind is not JobKind.PROTECT)
"""What one run of a child can make together. Protecting has a run of its own, and only where it is asked for."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Information about a video that can be played."""

    duration_sec: float
    """Seconds; 0 if the file doesn't say and contains nothing to measure."""
    mime_type: str
    container: str
    """The name that users know: "MP4", "WebM"."""
    video_codec: str
    """The name that users know: "H.264", "VP9"."""
    audio_codec: str | None
    """The name that users know, of the first audio track; None if there is none."""
    width: int
    """Stored pixels after rotation; the sample aspect ratio is not applied."""
    height: int
    bitrate_bps: int
    """Bits per second over the whole file; 0 if the duration is unknown."""
    isolated: bool
    """Whether the process that opened the file was cut off from the network."""


@dataclass(frozen=True, slots=True)
class MediaFailure:
    """Why a file could not be processed."""

    code: str
    """Stable, for programs."""
    reason: str
    """For users: what is wrong and what to do."""
    permanent: bool
    """False if the same file may work another time."""

    @property
    def is_of_one_job(self) -> bool:
        """Whether it ends a whole run, although only one of its jobs may be the cause."""
        return self.code in _OF_ONE_JOB

    @classmethod
    def of(cls, code: str) -> Self:
        """Return the failure with a code.

        Raises:
            KeyError: there is no such code.
        """
        return cls(code=code, reason=_REASONS[code], permanent=code not in _RETRY_MAY_HELP)


_OF_ONE_JOB: Final = frozenset({TIME_LIMIT, MEMORY_LIMIT, DECODER_CRASHED})


def is_failure_code(code: str) -> bool:
    """Return whether this is the code of a failure."""
    return code in _REASONS


class FailureAction(Enum):
    """What to do about a failure."""

    REPORT = "report"
    """Publish it: another try would end the same way, or would cost as much again."""
    RETRY = "retry"
    """Try again: the store or this machine can't do it now."""
    FORGET = "forget"
    """Do nothing: the video is gone."""


def action_for(failure: MediaFailure, *, gone: bool) -> FailureAction:
    """Return what to do about a failure; `gone`: the video's folder is missing in a store that is mounted."""
    if gone:
        return FailureAction.FORGET
    return FailureAction.REPORT if failure.permanent or failure.code in _NOT_AT_ONCE else FailureAction.RETRY


def thumbnail_times(duration_sec: float) -> list[float]:
    """Return where to look for a picture that shows something, in seconds from the start, in this order.

    The first place is at 10 %, but no later than 5 s. The key frame at or before it is shown, so that a clip of one
    group of pictures shows its first one. A duration that is unknown or not a finite positive number counts as 0.
    """
    if not math.isfinite(duration_sec) or duration_sec <= 0:
        return [0.0]
    first = min(THUMBNAIL_MAX_SEC, duration_sec * THUMBNAIL_FRACTION)
    later = (first * factor for factor in LATER_THUMBNAIL_FACTORS)
    furthest = (duration_sec * fraction for fraction in LATER_THUMBNAIL_FRACTIONS)
    return sorted({first, *later, *furthest})


def storyboard_cues(duration_sec: float) -> tuple[float, int]:
    """Return the seconds between two pictures of a storyboard, and how many there are."""
    if not math.isfinite(duration_sec) or duration_sec <= 0:
        return STORYBOARD_INTERVAL_SEC, 1
    interval = min(STORYBOARD_INTERVAL_SEC, max(1.0, duration_sec / STORYBOARD_SHORT_TILES))
    return interval, max(1, math.ceil(duration_sec / interval - 1e-6))


def codec_name(canonical: str) -> str:
    """Return the name that users know for FFmpeg's name of a codec: `h264` is "H.264"; unknown ones in capitals."""
    if canonical.startswith("pcm_"):
        return "PCM"
    return _CODECS.get(canonical, canonical.upper())


def container_name(kind: str) -> tuple[str, str]:
    """Return name and MIME type of a container (`mp4`, `quicktime`, `webm`, `matroska`).

    Raises:
        KeyError: it is not supported.
    """
    return _CONTAINERS[kind]


def bitrate_bps(size_bytes: int, duration_sec: float) -> int:
    """Return the bits per second over the whole file, or 0 if the duration is unknown."""
    return round(size_bytes * 8 / duration_sec) if duration_sec > 0 else 0
