"""Convert subtitles to WebVTT (W3C), keeping of their styling what WebVTT can say.

SRT and ASS are read by pysubs2. Some of its expressions take time that grows with the square of a cue's length, so
size, cues, lines and letters of a cue are bounded before it sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pysubs2

from services.catalog.captions.styling import cue_settings, cue_text

MAX_BYTES: Final = 2 << 20
"""Of a file: ten hours of dialogue have about a quarter of it."""
MAX_CUES: Final = 20_000
MAX_CUE_CHARS: Final = 2000
MAX_CUE_TAGS: Final = 200
MAX_HOURS: Final = 100
_TIMING = re.compile(r"^(?:\d{2,}:)?\d{2}:\d{2}\.\d{3}[ \t]+-->[ \t]+(?:\d{2,}:)?\d{2}:\d{2}\.\d{3}(?:[ \t].*)?$")
_ASS_HEAD = re.compile(r"^\s*\[(?:Script Info|V4\+? Styles|Events)\]", re.IGNORECASE | re.MULTILINE)
_FONT_COLOUR = re.compile(r"<font[^<>]{0,100}?color=[\"']?#?([0-9A-Za-z]{3,20})[\"']?[^<>]{0,100}>", re.IGNORECASE)
_NAMED: Final = {
    "white": "ffffff",
    "lime": "00ff00",
    "cyan": "00ffff",
    "red": "ff0000",
    "yellow": "ffff00",
    "magenta": "ff00ff",
    "blue": "0000ff",
    "black": "000000",
}


class InvalidSubtitlesError(ValueError):
    """A file that is no subtitles, or beyond the limits; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Captions:
    """Converted subtitles."""

    webvtt: str
    cues: int
    format: str
    """What they were: `webvtt`, `srt` or `ass`."""


def to_webvtt(text: str) -> Captions:
    """Return subtitles as WebVTT. Takes time in proportion to their length: call it off the event loop.

    Raises:
        InvalidSubtitlesError: they are of no known format, empty or beyond the limits.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd").lstrip("\ufeff")
    if re.match(r"WEBVTT(?:[ \t\n]|$)", text):
        return Captions(_checked_webvtt(text), _count(text), "webvtt")
    if _ASS_HEAD.search(text[:10_000]):
        return _converted(_bounded_ass(text), "ass")
    if "-->" in text:
        return _converted(_bounded_srt(text), "srt")
    raise InvalidSubtitlesError("the file is not WebVTT, SRT or ASS")


def _converted(text: str, format_: str) -> Captions:
    try:
        file = pysubs2.SSAFile.from_string(text, format_=format_)
    except Exception as error:  # what a parser raises on hostile input is not documented
        raise InvalidSubtitlesError(f"the file is damaged: {type(error).__name__}") from error
    blocks = [block for block in _blocks(file) if block]
    if not blocks:
        raise InvalidSubtitlesError("the file has no cues")
    return Captions("WEBVTT\n\n" + "\n\n".join(blocks) + "\n", len(blocks), format_)


def _blocks(file: pysubs2.SSAFile) -> Iterator[str]:
    for event in sorted((each for each in file if not each.is_comment), key=lambda each: (each.start, each.end)):
        if not 0 <= event.start < event.end or event.start >= MAX_HOURS * 3_600_000:
            continue
        style = file.styles.get(event.style)
        if text := cue_text(event.text[:MAX_CUE_CHARS], style, file.styles):
            yield f"{_time(event.start)} --> {_time(event.end)}{cue_settings(event.text, style)}\n{text}"


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _checked_webvtt(text: str) -> str:
    cues = 0
    for block in re.split(r"\n{2,}", text):
        lines = block.split("\n")
        timing = next((line for line in lines[:2] if "-->" in line), None)
        if timing is None:
            if len(block) > MAX_BYTES // 4:
                raise InvalidSubtitlesError("a block of the file is too long")
            continue
        cues += 1
        if not _TIMING.match(timing):
            raise InvalidSubtitlesError(f"cue {cues} has no valid times")
        if len(block) > MAX_CUE_CHARS or block.count("<") > MAX_CUE_TAGS:
            raise InvalidSubtitlesError(f"cue {cues} is too long")
    if not cues:
        raise InvalidSubtitlesError("the file has no cues")
    _limit(cues)
    return text if text.endswith("\n") else text + "\n"


def _bounded_srt(text: str) -> str:
    _limit(_count(text))
    text = re.sub(r"[ \t]{2,}", " ", re.sub(r"\n[ \t]*\n(?:[ \t]*\n)+", "\n\n", text))
    lines, length = [], 0
    for line in text.split("\n"):
        length = 0 if "-->" in line else length + len(line)
        # What is beyond is left out: no viewer reads 2,000 letters at once.
        lines.append(line[: max(0, MAX_CUE_CHARS - (length - len(line)))] if length > MAX_CUE_CHARS else line)
    return _FONT_COLOUR.sub(_ass_colour, "\n".join(lines)).replace("</font>", r"{\c}").replace("</FONT>", r"{\c}")


def _bounded_ass(text: str) -> str:
    _limit(len(re.findall(r"^(?:Dialogue|Comment):", text, re.MULTILINE)))
    # Fonts and pictures that are embedded can't be shown, and their lines are the longest.
    text = re.sub(r"^\[(?:Fonts|Graphics)\][^\[]*", "", text, flags=re.MULTILINE | re.IGNORECASE)
    return "\n".join(line[: MAX_CUE_CHARS * 2] for line in text.split("\n"))


def _ass_colour(found: re.Match[str]) -> str:
    value = _NAMED.get(found[1].lower(), found[1].lower())
    if not re.fullmatch(r"[0-9a-f]{6}", value):
        return ""
    return rf"{{\c&H{value[4:]}{value[2:4]}{value[:2]}&}}"


def _count(text: str) -> int:
    return text.count("-->")


def _limit(cues: int) -> None:
    if cues > MAX_CUES:
        raise InvalidSubtitlesError(f"the file has more than {MAX_CUES} cues")
