"""Convert embedded text subtitles to WebVTT. Part of the confined child: every byte here is foreign.

The packets are read here; FFmpeg's decoders of subtitles are never run.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.thumbnailer.domain import TEXT_SUBTITLES
from services.thumbnailer.media.errors import UnusableFileError
from services.thumbnailer.media.facts import codec_of, subtitle_track
from services.thumbnailer.media.picture_choice import packets, seek
from services.thumbnailer.media.probe import read_only

if TYPE_CHECKING:
    from services.thumbnailer.media.probe import Film

MAX_EXTRACTED: Final = 64
MAX_CUES: Final = 20_000
MAX_CUE_CHARS: Final = 2_000
MAX_TOTAL_CHARS: Final = 16 * 2**20
_DEFAULT_SEC: Final = 5.0
"""How long a cue is shown whose end is not known."""
_ASS_FIELDS: Final = 8
"""Commas before the text of a dialogue in a packet (Matroska's mapping of SSA and ASS)."""
_LENGTH_BYTES: Final = 2

_CONTROLS: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u2029]")
_KEPT_TAG: Final = re.compile(r"&lt;(/?[ibu])&gt;", re.IGNORECASE)
_OTHER_TAG: Final = re.compile(r"&lt;/?[a-z][^&]{0,200}?&gt;|\{\\[^}]{0,200}\}", re.IGNORECASE)
_OVERRIDES: Final = re.compile(r"\{([^}]{0,500})\}")
_STYLE: Final = re.compile(r"\\([ibu])([01])(?![0-9])")
_DRAWING: Final = re.compile(r"\\p[1-9]")


@dataclass(slots=True)
class _Cue:
    start: float
    end: float | None
    text: str


def subtitles_of(film: Film) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the text tracks that hold anything, for JSON, and each as WebVTT.

    Raises:
        UnusableFileError: DAMAGED, as the tracks hold more text than subtitles do.
    """
    texts = [each for each in film.container.streams.subtitles if codec_of(each) in TEXT_SUBTITLES][:MAX_EXTRACTED]
    if not texts:
        return [], []
    cues: dict[int, list[_Cue]] = {each.index: [] for each in texts}
    converters = {each.index: _CONVERTERS[codec_of(each)] for each in texts}
    read_only(film.container, texts)
    seek(film.container, film.stream, film.stream.start_time or 0)
    offset, total = (film.container.start_time or 0) / 1_000_000, 0
    for packet in packets(film.container, texts):
        track = cues[packet.stream.index]
        if packet.pts is None or not packet.size or len(track) >= MAX_CUES:
            continue
        unit = float(packet.time_base)
        text = converters[packet.stream.index](bytes(packet))[:MAX_CUE_CHARS]
        total += len(text)
        if total > MAX_TOTAL_CHARS:
            raise UnusableFileError("DAMAGED")
        start = max(0.0, packet.pts * unit - offset)
        if track and track[-1].end is None:
            track[-1].end = start
        track.append(_Cue(start, start + packet.duration * unit if packet.duration else None, text))
    filled = [each for each in texts if any(cue.text for cue in cues[each.index])]
    return [subtitle_track(each) for each in filled], [_webvtt(cues[each.index]) for each in filled]


def _webvtt(cues: list[_Cue]) -> bytes:
    parts = ["WEBVTT\n"]
    for cue in sorted(cues, key=lambda each: each.start):
        end = cue.end if cue.end is not None else cue.start + _DEFAULT_SEC
        if cue.text and end > cue.start:
            parts.append(f"{_timestamp(cue.start)} --> {_timestamp(end)}\n{cue.text}\n")
    return "\n".join(parts).encode()


def _timestamp(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _plain(data: bytes) -> str:
    return _clean(html.escape(data.decode("utf-8", "replace"), quote=False))


def _timed_text(data: bytes) -> str:
    """Return the text of a sample of 3GPP Timed Text; the boxes behind it, with styles, are left out."""
    return _plain(data[_LENGTH_BYTES : _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")])


def _subrip(data: bytes) -> str:
    escaped = html.escape(data.decode("utf-8", "replace"), quote=False)
    kept = _KEPT_TAG.sub(lambda tag: f"<{tag[1].lower()}>", escaped)
    return _clean(_OTHER_TAG.sub("", kept))


def _webvtt_payload(data: bytes) -> str:
    """Return a cue of WebVTT; what is no plain tag stays escaped."""
    return _subrip(html.unescape(data.decode("utf-8", "replace")).encode())


def _ass(data: bytes) -> str:
    fields = data.decode("utf-8", "replace").split(",", _ASS_FIELDS)
    text = fields[-1] if len(fields) > _ASS_FIELDS else ""
    if _DRAWING.search(text):
        return ""
    opened: list[str] = []

    def restyled(match: re.Match[str]) -> str:
        tags = []
        for style, on in _STYLE.findall(match[1]):
            if on == "1" and style not in opened:
                opened.append(style)
                tags.append(f"<{style}>")
            elif on == "0" and style in opened:
                opened.remove(style)
                tags.append(f"</{style}>")
        return "".join(tags)

    escaped = html.escape(text, quote=False)
    styled = _OVERRIDES.sub(restyled, escaped) + "".join(f"</{style}>" for style in reversed(opened))
    return _clean(styled.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " "))


def _clean(text: str) -> str:
    """Return the text of a cue without control characters and blank lines, which would end it."""
    lines = (_CONTROLS.sub("", line).strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return "\n".join(line for line in lines if line)


_CONVERTERS: Final[dict[str, Callable[[bytes], str]]] = {
    "mov_text": _timed_text,
    "subrip": _subrip,
    "text": _plain,
    "ass": _ass,
    "webvtt": _webvtt_payload,
}
