"""List the tracks, chapters and colours of a film. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from av.stream import Disposition

from services.thumbnailer.domain import MAX_CHAPTERS, MAX_LABEL_CHARS, MAX_TRACKS, TEXT_SUBTITLES
from services.thumbnailer.media import tone_map
from services.thumbnailer.media.picture_output import is_quarter_turn, rotation_of, turns_of

if TYPE_CHECKING:
    from av.stream import Stream

    from services.thumbnailer.media.probe import Film

_PRIMARIES: Final = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 11: "smpte431",
                     12: "smpte432"}  # fmt: skip
"""ITU-T H.273, table 2, by FFmpeg's names."""
_TRANSFERS: Final = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
                     13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
                     18: "arib-std-b67"}  # fmt: skip
"""ITU-T H.273, table 3, by FFmpeg's names."""
_HDR: Final = {tone_map.PQ: "PQ", tone_map.HLG: "HLG"}


def facts_of(film: Film) -> dict[str, object]:
    """Return what is known of a film, for JSON."""
    context = film.stream.codec_context
    width, height = context.width, context.height
    turns = turns_of(film.first)
    if is_quarter_turn(turns):
        width, height = height, width
    audio = [_audio_track(stream) for stream in film.container.streams.audio[:MAX_TRACKS]]
    rate, transfer = film.stream.average_rate, int(film.first.color_trc)
    return {
        "container": film.kind,
        "duration_sec": film.duration_sec,
        "video_codec": context.codec.canonical_name,
        "audio_codec": audio[0]["codec"] if audio else None,
        "width": width,
        "height": height,
        "audio": audio,
        "subtitles": [subtitle_track(stream) for stream in film.container.streams.subtitles[:MAX_TRACKS]],
        "chapters": _chapters(film),
        "color_primaries": _PRIMARIES.get(int(film.first.color_primaries), ""),
        "color_transfer": _TRANSFERS.get(transfer, ""),
        "hdr": _HDR.get(transfer, ""),
        "rotation": rotation_of(turns),
        "frame_rate": float(rate) if rate else 0.0,
        "bit_depth": film.first.format.components[0].bits,
    }


def subtitle_track(stream: Stream) -> dict[str, Any]:
    """Return what is known of a track of subtitles, for JSON."""
    codec = codec_of(stream)
    return {
        **_labels(stream, codec),
        "forced": bool(stream.disposition & Disposition.forced),
        "sdh": bool(stream.disposition & Disposition.hearing_impaired),
        "text": codec in TEXT_SUBTITLES,
    }


def codec_of(stream: Stream) -> str:
    """Return FFmpeg's name of a track's codec."""
    # Contrary to its type stubs, PyAV has no context if FFmpeg has no decoder.
    context: Any = stream.codec_context
    return str(context.codec.canonical_name) if context is not None else "unknown"


def _audio_track(stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    return {**_labels(stream, codec_of(stream)), "channels": int(context.channels) if context is not None else 0}


def _labels(stream: Stream, codec: str) -> dict[str, Any]:
    return {
        "index": stream.index,
        "codec": codec,
        "language": _label(stream.metadata, "language"),
        "title": _label(stream.metadata, "title"),
        "default": bool(stream.disposition & Disposition.default),
    }


def _chapters(film: Film) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for chapter in film.container.chapters()[:MAX_CHAPTERS]:
        unit = chapter["time_base"] or 0
        start, end = float(chapter["start"] * unit), float(chapter["end"] * unit)
        if 0 <= start < end:
            found.append({"start_sec": start, "end_sec": end, "title": _label(chapter["metadata"], "title")})
    return found


def _label(metadata: dict[str, str], name: str) -> str:
    return str(metadata.get(name, ""))[:MAX_LABEL_CHARS]
