"""Titles from file names: own rules for Korean names and abbreviations, guessit for names of releases. No I/O.

    WSOP_2024_ME_Day1_P2.mp4                       WSOP 2024 Main Event Day 1 Part 2
    The.Matrix.1999.1080p.BluRay.x264-GRP.mkv      The Matrix (1999)
    breaking.bad.s02e05.720p.mkv                   Breaking Bad S02E05
    무한도전.E450.150101.720p-NEXT.mp4             무한도전 E450 2015-01-01

A dictionary (`MARQUEE_TITLE_DICTIONARY`) replaces whole words: one `ABBREVIATION = words` a line, `#` for comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

import structlog
from guessit import guessit

from services.catalog.domain import MAX_TITLE_CHARS, UNTITLED, clean_text, title_from_file_name

log = structlog.get_logger()

MAX_WORDS: Final = 10_000
"""Of a dictionary."""
_GUESSED_CHARS: Final = 150
"""guessit's time grows with the length of a name; names of releases are shorter."""
_POKER: Final = frozenset({"WSOP", "WSOPE", "WPT", "EPT", "APT", "APPT"})
_POKER_WORDS: Final = {"ME": "Main Event", "HR": "High Roller", "SHR": "Super High Roller", "FT": "Final Table"}
_TECHNICAL = re.compile(
    r"(?:480|540|576|720|1080|1440|2160)[ip]|[48]k|uhd|[hx]\.?26[45]|hevc|avc|av1|xvid|divx|10bit|hdr(?:10)?|web"
    r"|web-?(?:dl|rip)|blu-?ray|b[dr]rip|hdtv|hdrip|dvd(?:rip)?|remux|aac[0-9.]*|ac3|ddp?[0-9.]*|dts|flac|f?hd",
    re.IGNORECASE,
)
_SEASON = re.compile(
    r"(?<![a-z0-9])(?:s[0-9]{1,2}[ ._-]?e[0-9]{1,3}(?![0-9])|[0-9]{1,2}x[0-9]{2,3}(?![a-z0-9]))", re.IGNORECASE
)
_RELEASE_YEAR = re.compile(r"[(\[.](?:19|20)[0-9]{2}[)\].]")
_HANGUL = re.compile("[가-힣]")
_EPISODE = re.compile(r"(?:s[0-9]{1,2})?e[0-9]{1,4}(?:-e?[0-9]{1,4})?", re.IGNORECASE)
_SHORT_DATE = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
_YEAR = re.compile(r"\(?((?:19|20)[0-9]{2})\)?")
_NUMBERED: Final = (
    (re.compile(r"(?:p|pt|part)[-.]?([0-9]{1,3})", re.IGNORECASE), "Part"),
    (re.compile(r"day[-.]?([0-9]{1,2}[a-z]?)", re.IGNORECASE), "Day"),
    (re.compile(r"(?:ep|episode)[-.]?([0-9]{1,4})", re.IGNORECASE), "Episode"),
)
_DECADE: Final = 60
"""Two digits of a year from here on are of the last century."""


class Titles:
    """Makes titles of file names.

    Args:
        words: abbreviation to words, case-sensitive; they replace whole words.
    """

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        self._words = dict(words or {})

    def learn(self, words: Mapping[str, str]) -> None:
        """Add words: those of the operator's dictionary, at the start."""
        self._words.update(words)

    def of(self, name: str) -> str:
        """Return a title for a file, at most `domain.MAX_TITLE_CHARS` long and never empty.

        Args:
            name: the file's name, with or without folders and suffix; it may be hostile.
        """
        plain = title_from_file_name(name)
        if _HANGUL.search(plain):
            title = " ".join(self._expanded(list(_korean(plain))))
        elif len(plain) <= _GUESSED_CHARS and _is_release(plain):
            title = _guessed(plain) or plain
        else:
            title = " ".join(self._expanded(_tokens(plain)))
        return clean_text(title, MAX_TITLE_CHARS) or clean_text(plain, MAX_TITLE_CHARS) or UNTITLED

    def _expanded(self, tokens: list[str]) -> Iterator[str]:
        words = self._words
        if _POKER & set(tokens):
            words = _POKER_WORDS | words
        for index, token in enumerate(tokens):
            yield words.get(token) or (_numbered(token) if index else token)


TITLES: Final = Titles()
"""What uploads and imports of this process use."""


def parse_dictionary(text: str) -> dict[str, str]:
    """Return the words of a dictionary file.

    Raises:
        ValueError: a line has no `=`, or nothing on one side of it; or there are too many. The text names the line.
    """
    words: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        abbreviation, equals, meaning = (part.strip() for part in line.partition("="))
        if not (abbreviation and equals and meaning) or " " in abbreviation:
            raise ValueError(f"line {number} is not of the form ABBREVIATION = words")
        words[abbreviation] = clean_text(meaning, MAX_TITLE_CHARS)
        if len(words) > MAX_WORDS:
            raise ValueError(f"there are more than {MAX_WORDS} words")
    return words


def _tokens(plain: str) -> list[str]:
    """Return the words of a name. Dots and hyphens separate words only where blanks do not."""
    if " " not in plain and plain.count(".") > 1:
        plain = re.sub(r"\.+", " ", plain)
    return plain.split()


def _numbered(token: str) -> str:
    for pattern, word in _NUMBERED:
        if found := pattern.fullmatch(token):
            return f"{word} {found[1].lstrip('0').upper() or '0'}"
    return token


def _is_release(plain: str) -> bool:
    if _SEASON.search(plain) or _RELEASE_YEAR.search(plain):
        return True
    return any(_TECHNICAL.fullmatch(part) for part in re.split(r"[ ._\[\]()-]+", plain))


def _korean(plain: str) -> Iterator[str]:
    """Yield what is a title of a Korean name: up to the first technical word, without the channel in front."""
    has_technical = any(_is_technical(part) for part in re.split(r"[ .]+", plain))
    tokens = re.split(r"[ .]+", plain.strip(" .")) if has_technical or " " not in plain else plain.split()
    if len(tokens) > 1 and re.fullmatch(r"\[[^\]]*\]", tokens[0]):
        tokens = tokens[1:]
    end = next((index for index, token in enumerate(tokens) if index and _is_technical(token)), len(tokens))
    for index, token in enumerate(tokens[:end]):
        if index and (day := _short_date(token)):
            yield day
        elif index and index == end - 1 and (year := _YEAR.fullmatch(token)):
            # In the middle it is part of the title.
            yield f"({year[1]})"
        elif _EPISODE.fullmatch(token):
            yield token.upper()
        else:
            yield token


def _is_technical(token: str) -> bool:
    head = re.split(r"[-\[(]", token.strip("[]()"), maxsplit=1)[0]
    return any(part and _TECHNICAL.fullmatch(part) for part in (token.strip("[]()"), head))


def _short_date(token: str) -> str:
    """Return the date of six digits, year first, as Korean broadcasts have it; empty if it is none."""
    if found := _SHORT_DATE.fullmatch(token):
        year, month, day = map(int, found.groups())
        try:
            return date(year + (1900 if year >= _DECADE else 2000), month, day).isoformat()
        except ValueError:
            pass
    return ""


def _guessed(plain: str) -> str:
    """Return what guessit reads from the name of a release; empty when that is nothing."""
    try:
        # With a suffix behind it, guessit takes the last word for what it is.
        found: Mapping[str, Any] = guessit(f"{plain}.mkv")
    except Exception:  # noqa: BLE001 - a title must not fail because a library does
        log.warning("title_not_guessed")
        return ""
    title = _text(found.get("title"))
    if not title:
        return ""
    other = _text(found.get("alternative_title"))
    if other and plain.find(other.split()[0]) < plain.find(title.split()[0]):
        title, other = other, title
    parts = [_capitalised(title), other]
    if year := found.get("year"):
        parts.append(f"({year})")
    parts.append(_episode(found))
    if part := found.get("part"):
        parts.append(f"Part {part}")
    parts.append(_text(found.get("episode_title")))
    return " ".join(filter(None, parts))


def _episode(found: Mapping[str, Any]) -> str:
    season, episode, day = found.get("season"), found.get("episode"), found.get("date")
    numbers = episode if isinstance(episode, list) else [episode]
    if isinstance(season, int):
        text = f"S{season:02}"
        return text + "".join(f"E{number:02}" for number in numbers if isinstance(number, int))
    if isinstance(episode, int):
        return f"E{episode:02}"
    return day.isoformat() if isinstance(day, date) else ""


def _text(value: object) -> str:
    if isinstance(value, list):
        value = value[0]
    return value if isinstance(value, str) else ""


def _capitalised(title: str) -> str:
    return title.title() if title.islower() and title.isascii() and "'" not in title else title
