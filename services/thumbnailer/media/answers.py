"""Check the answer of the child process, which has read hostile input."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from services.thumbnailer import domain
from services.thumbnailer.domain import (
    MAX_CHAPTERS,
    MAX_DURATION_SEC,
    MAX_LABEL_CHARS,
    MAX_TRACKS,
    POSTER_WIDTHS,
    STORYBOARD_TILE_WIDTH,
    JobKind,
    MediaFailure,
    MediaInfo,
)
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.results import (
    AudioTrack,
    Chapter,
    Details,
    Facts,
    Posters,
    Report,
    Result,
    Storyboard,
    Subtitles,
    SubtitleTrack,
    Thumbnail,
    file_names,
)

_MAX_HEAD_BYTES: Final = 2**20
_MAX_SIDE: Final = 16_384
_MAX_THUMBHASH_BYTES: Final = 40
_MAX_CHANNELS: Final = 1024
_MAX_FRAME_RATE: Final = 10_000.0
_MAX_BIT_DEPTH: Final = 64
_CODEC: Final = re.compile(r"[a-z0-9_]{1,32}")
_NAME: Final = re.compile(r"[a-z0-9-]{0,32}")
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9-]{1,35}")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def parse_answer(answer: bytes, size: int, max_pixels: int) -> Report:
    """Return the results, failures and files in an answer.

    Args:
        answer: a line of JSON, and the files behind it.
        size: of the film, in bytes.
        max_pixels: what a picture may have at most.

    Raises:
        MediaError: the failure that the child reports, or DECODER_CRASHED if its answer is invalid.
    """
    try:
        head, _, rest = answer.partition(b"\n")
        if len(head) > _MAX_HEAD_BYTES:
            raise ValueError(len(head))
        found = json.loads(head)
        if isinstance(code := found.get("failure"), str) and domain.is_failure_code(code):
            raise MediaError.of(code)
        report = Report()
        for kind, code in found["failures"].items():
            if not domain.is_failure_code(code):
                raise ValueError(code)
            report.failures[JobKind(kind)] = MediaFailure.of(code)
        for kind in JobKind:
            if kind.value in found:
                part = found[kind.value]
                result = _result(kind, part["result"], size, max_pixels, isolated=found["isolated"] is True)
                report.results[kind] = result
                report.files[kind], rest = _take_files(file_names(result), part["sizes"], rest)
        if rest or not (report.results or report.failures):
            raise ValueError(len(rest))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise MediaError.of(domain.DECODER_CRASHED) from None
    return report


def _take_files(names: list[str], sizes: list[Any], rest: bytes) -> tuple[dict[str, bytes], bytes]:
    """Return the files at the start of `rest` by name, and what follows them."""
    files, at = {}, 0
    for name, size in zip(names, sizes, strict=True):
        end = at + _whole(size, len(rest) - at)
        files[name] = _checked_file(name, rest[at:end])
        at = end
    return files, rest[at:]


def _checked_file(name: str, content: bytes) -> bytes:
    """Check the first bytes, and those at the end where there are any (ITU-T T.81, annex B; RFC 9649; WebVTT)."""
    ending = name.rpartition(".")[2]
    if ending == "jpg":
        is_good = content.startswith(b"\xff\xd8\xff") and content.endswith(b"\xff\xd9")
    elif ending == "webp":
        is_good = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    else:
        is_good = content.startswith(b"WEBVTT\n") and bool(content.decode())
    if not is_good:
        raise ValueError(name)
    return content


def _result(kind: JobKind, found: Any, size: int, max_pixels: int, *, isolated: bool) -> Result:
    match kind:
        case JobKind.FACTS:
            return Facts(_info(found, size, max_pixels, isolated=isolated), _details(found))
        case JobKind.THUMBNAIL:
            placeholder = str(found["thumbhash"])
            if not 0 < len(base64.b64decode(placeholder, validate=True)) <= _MAX_THUMBHASH_BYTES:
                raise ValueError(placeholder[:MAX_LABEL_CHARS])
            return Thumbnail(placeholder)
        case JobKind.POSTERS:
            widths = tuple(found["widths"])
            if not widths or widths != POSTER_WIDTHS[: len(widths)]:
                raise ValueError(widths)
            return Posters(widths, _whole(found["width"], _MAX_SIDE), _whole(found["height"], _MAX_SIDE))
        case JobKind.STORYBOARD:
            interval = _number(found["interval_sec"], domain.STORYBOARD_INTERVAL_SEC)
            if interval < 1 or found["tile_width"] != STORYBOARD_TILE_WIDTH:
                raise ValueError(found)
            tiles = _whole(found["tiles"], math.ceil(MAX_DURATION_SEC / domain.STORYBOARD_INTERVAL_SEC))
            duration = _number(found["duration_sec"], MAX_DURATION_SEC)
            return Storyboard(duration, interval, tiles, STORYBOARD_TILE_WIDTH, _whole(found["tile_height"], _MAX_SIDE))
        case JobKind.PROTECT:
            raise ValueError(kind)
        case JobKind.SUBTITLES:
            return Subtitles(tuple(_unique(_subtitle_track(each) for each in _few(found, MAX_TRACKS))))


def _info(found: Any, size: int, max_pixels: int, *, isolated: bool) -> MediaInfo:
    duration = _number(found["duration_sec"], MAX_DURATION_SEC)
    container, mime_type = domain.container_name(_codec(found["container"]))
    audio = found["audio_codec"]
    return MediaInfo(
        duration_sec=duration,
        mime_type=mime_type,
        container=container,
        video_codec=domain.codec_name(_codec(found["video_codec"])),
        audio_codec=None if audio is None else domain.codec_name(_codec(audio)),
        width=_whole(found["width"], max_pixels),
        height=_whole(found["height"], max_pixels),
        bitrate_bps=domain.bitrate_bps(size, duration),
        isolated=isolated,
    )


def _details(found: Any) -> Details:
    if found["rotation"] not in {0, 90, 180, 270} or found["hdr"] not in {"", "PQ", "HLG"}:
        raise ValueError(found["rotation"])
    return Details(
        audio=tuple(_audio_track(each) for each in _few(found["audio"], MAX_TRACKS)),
        subtitles=tuple(_unique(_subtitle_track(each) for each in _few(found["subtitles"], MAX_TRACKS))),
        chapters=tuple(_chapter(each) for each in _few(found["chapters"], MAX_CHAPTERS)),
        color_primaries=_name(found["color_primaries"]),
        color_transfer=_name(found["color_transfer"]),
        hdr=found["hdr"],
        rotation=found["rotation"],
        frame_rate=_number(found["frame_rate"], _MAX_FRAME_RATE),
        bit_depth=_whole(found["bit_depth"], _MAX_BIT_DEPTH),
    )


def _audio_track(found: Any) -> AudioTrack:
    return AudioTrack(**_labels(found), channels=_whole(found["channels"], _MAX_CHANNELS, least=0))


def _subtitle_track(found: Any) -> SubtitleTrack:
    forced, sdh, text = (found[mark] is True for mark in ("forced", "sdh", "text"))
    return SubtitleTrack(**_labels(found), forced=forced, sdh=sdh, text=text)


def _labels(found: Any) -> dict[str, Any]:
    language, title = str(found["language"]), str(found["title"])
    return {
        "index": _whole(found["index"], 2**31 - 1, least=0),
        "codec": domain.codec_name(_codec(found["codec"])),
        "language": language if _LANGUAGE.fullmatch(language) and language != "und" else "",
        "title": _CONTROLS.sub("", title).strip()[:MAX_LABEL_CHARS],
        "default": found["default"] is True,
    }


def _chapter(found: Any) -> Chapter:
    start, end = (_number(found[edge], MAX_DURATION_SEC * 2) for edge in ("start_sec", "end_sec"))
    return Chapter(start, end, _CONTROLS.sub("", str(found["title"])).strip()[:MAX_LABEL_CHARS])


def _unique(tracks: Iterator[SubtitleTrack]) -> list[SubtitleTrack]:
    found = list(tracks)
    if len({track.index for track in found}) != len(found):
        raise ValueError(len(found))
    return found


def _few(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(most)
    return value


def _whole(value: object, most: int, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(value)
    return value


def _number(value: object, most: float) -> float:
    # Also refuses NaN: no comparison with it is true.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(value)
    return float(value)


def _codec(value: object) -> str:
    if not isinstance(value, str) or not _CODEC.fullmatch(value):
        raise ValueError(value)
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(value)
    return value
