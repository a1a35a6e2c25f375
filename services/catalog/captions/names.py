"""Languages (BCP 47), the names of tracks, and what the name of a sidecar file says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import babelfish

MAX_TRACK_CHARS: Final = 50
SUFFIXES: Final = frozenset({".srt", ".ass", ".ssa", ".vtt"})
"""Of the files that are taken as subtitles."""
UNKNOWN: Final = "und"
"""The language of what names none (ISO 639-2)."""
_TAG = re.compile(
    r"(?P<language>[A-Za-z]{2,3})(?:-(?P<script>[A-Za-z]{4}))?(?:-(?P<region>[A-Za-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*)"
)
_FORCED: Final = frozenset({"forced"})
_SDH: Final = frozenset({"sdh", "cc", "hi"})
_SPELLINGS: Final = {
    "chs": "zh-Hans",
    "sc": "zh-Hans",
    "cht": "zh-Hant",
    "tc": "zh-Hant",
    "kr": "ko",
    "jp": "ja",
    "kor": "ko",
    "한국어": "ko",
    "한글": "ko",
    "영어": "en",
    "일본어": "ja",
    "중국어": "zh",
    "english": "en",
    "korean": "ko",
}
"""What people write that is no language code, or another language's."""


@dataclass(frozen=True, slots=True)
class Track:
    """Which subtitles of a video are meant: a video has one of each."""

    language: str
    """BCP 47, in its canonical spelling."""
    forced: bool = False
    """Only for what is spoken in another language than the film's."""
    sdh: bool = False
    """For people who are deaf or hard of hearing."""

    @property
    def name(self) -> str:
        """Its name in addresses: `ko`, `en.forced`, `zh-Hant.sdh`."""
        return self.language + ".forced" * self.forced + ".sdh" * self.sdh


def canonical_language(tag: str) -> str:
    """Return a BCP 47 tag in its canonical spelling (RFC 5646, 2.1.1); three letters become two where there are two.

    Raises:
        ValueError: it is not a tag of language, script, region and variants, or there is no such language.
    """
    found = _TAG.fullmatch(tag.replace("_", "-"))
    if not found or len(tag) > MAX_TRACK_CHARS - len(".forced.sdh"):
        raise ValueError("is not a language tag such as ko or zh-Hant (BCP 47)")
    parts = [_language(found["language"].lower())]
    if script := found["script"]:
        parts.append(script.title())
    if region := found["region"]:
        parts.append(region.upper())
    return "-".join(parts) + found["variants"].lower()


def parse_track(name: str) -> Track:
    """Return the track of this name in an address.

    Raises:
        ValueError: it is not the name of a track.
    """
    tag, *flags = name.split(".")
    if len(name) > MAX_TRACK_CHARS or len(flags) != len(set(flags)) or not set(flags) <= {"forced", "sdh"}:
        raise ValueError("is not a language tag, with .forced or .sdh behind it or not")
    return Track(canonical_language(tag), forced="forced" in flags, sdh="sdh" in flags)


def sidecar_track(film: str, name: str) -> Track | None:
    """Return the track of a file that lies beside a film: `film.ko.srt`, `film.en.forced.ass`. None if it is none.

    Args:
        film: the film's file name without its suffix.
        name: the other file's name.
    """
    stem, dot, suffix = name.rpartition(".")
    if f"{dot}{suffix.lower()}" not in SUFFIXES or not stem.startswith(film):
        return None
    rest = stem[len(film) :]
    if rest and rest[0] not in ".-_ ":
        return None
    language, forced, sdh = "", False, False
    for word in filter(None, re.split(r"[. ()\[\]]+", rest.strip("-_ "))):
        lowered = word.lower()
        if lowered in _FORCED:
            forced = True
        elif lowered in _SDH and (language or lowered != "hi"):
            sdh = True
        elif not language and (language := _spelt(lowered)):
            pass
        elif rest[0] != ".":
            return None
    return Track(language or UNKNOWN, forced=forced, sdh=sdh)


def _spelt(word: str) -> str:
    if known := _SPELLINGS.get(word):
        return known
    try:
        return canonical_language(word)
    except ValueError:
        return ""


def _language(code: str) -> str:
    """Return the shortest code of a language. Raises ValueError for one that is unknown."""
    try:
        if len(code) == 2:  # noqa: PLR2004 - ISO 639-1
            babelfish.Language.fromalpha2(code)
            return code
        return str(_by_three_letters(code).alpha2)
    except babelfish.LanguageConvertError:
        return code
    except (ValueError, babelfish.Error) as error:
        if code == UNKNOWN:
            return code
        raise ValueError("there is no such language") from error


def _by_three_letters(code: str) -> babelfish.Language:
    try:
        return babelfish.Language(code)
    except ValueError:
        return babelfish.Language.fromalpha3b(code)
