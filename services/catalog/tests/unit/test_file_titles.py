"""Titles made of file names: a table of examples, and what holds for every name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.catalog.domain import MAX_TITLE_CHARS, UNTITLED
from services.catalog.file_titles import Titles, parse_dictionary

EXAMPLES = {
    # Abbreviations and numbered parts
    "WSOP_2024_ME_Day1_P2.mp4": "WSOP 2024 Main Event Day 1 Part 2",
    "EPT_Monte_Carlo_2023_FT_Day3.mp4": "EPT Monte Carlo 2023 Final Table Day 3",
    "WPT-less ME.mp4": "WPT-less ME",
    "Me and You.mp4": "Me and You",
    "THM_lesson_part01.mp4": "Texas Hold'em lesson Part 1",
    "P2.mp4": "P2",
    # Films and series
    "The.Matrix.1999.1080p.BluRay.x264-GRP.mkv": "The Matrix (1999)",
    "Blade Runner (1982).mkv": "Blade Runner (1982)",
    "breaking.bad.s02e05.720p.mkv": "Breaking Bad S02E05",
    "Breaking Bad - S02E05 - Breakage.mkv": "Breaking Bad S02E05 Breakage",
    "Friends S01E01E02 720p.mkv": "Friends S01E01E02",
    "Show.1x03.mkv": "Show S01E03",
    "1917.mkv": "1917",
    # Korean releases
    "기생충.Parasite.2019.1080p.BluRay.mkv": "기생충 Parasite (2019)",
    "무한도전.E450.150101.720p-NEXT.mp4": "무한도전 E450 2015-01-01",
    "[tvN] 미스터 션샤인 E01 180707.1080p-NEXT.mp4": "미스터 션샤인 E01 2018-07-07",
    "응답하라.1988.E01.151106.HDTV.H264.720p-WITH.mp4": "응답하라 1988 E01 2015-11-06",
    "범죄도시2.2022.mp4": "범죄도시2 (2022)",
    "오징어 게임 시즌1 3화.mp4": "오징어 게임 시즌1 3화",
    "킹덤.S02E01.2160p.NF.WEB-DL.mkv": "킹덤 S02E01",
    # Ordinary names
    "holiday_video.mp4": "holiday video",
    "누아르/The_Film (1949).mkv": "The Film (1949)",
    "C:\\films\\A film.mp4": "A film",
    "My.Name.Is.Bob.mp4": "My Name Is Bob",
    ".mp4": ".mp4",
    "": UNTITLED,
    "\x00\x01.mp4": UNTITLED,
}


@pytest.mark.parametrize(("name", "title"), EXAMPLES.items())
def test_example(name: str, title: str) -> None:
    assert Titles({"THM": "Texas Hold'em"}).of(name) == title


@pytest.mark.parametrize("name", [*EXAMPLES, "film" * 200])
def test_a_title_is_not_changed_by_decomposed_letters(name: str) -> None:
    titles = Titles()
    assert titles.of(unicodedata.normalize("NFD", name)) == titles.of(unicodedata.normalize("NFC", name))


@settings(deadline=None)
@given(st.text(max_size=400) | st.text(alphabet="aS01E2x.- _[]()p1080가720\\/\x00é", max_size=400))
@example("S01E01" * 60)
@example("720p " * 30)
@example("[" * 400)
def test_every_name_has_a_title_that_can_be_shown(name: str) -> None:
    title = Titles().of(name)
    assert 0 < len(title) <= MAX_TITLE_CHARS
    assert title == title.strip()
    assert not any(unicodedata.category(letter).startswith("C") for letter in title)


@given(st.lists(st.sampled_from(["river", "house", "night", "강", "밤"]), min_size=1, max_size=8))
def test_ordinary_words_stay_as_they_are(words: list[str]) -> None:
    assert Titles().of("_".join(words) + ".mp4") == " ".join(words)


def test_a_dictionary_replaces_whole_words() -> None:
    words = parse_dictionary("# poker\nTHM = Texas Hold'em\n\n  HU=Heads-Up = one\n")
    assert words == {"THM": "Texas Hold'em", "HU": "Heads-Up = one"}
    assert Titles(words).of("THM_HU_THMX_thm.mp4") == "Texas Hold'em Heads-Up = one THMX thm"


@pytest.mark.parametrize("line", ["THM", "= words", "THM =", "TWO WORDS = x"])
def test_a_bad_line_of_a_dictionary_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 "):
        parse_dictionary(f"A = b\n{line}\n")
