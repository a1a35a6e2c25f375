"""Fold text for search: case, width, accents, spaces and punctuation are forgiven, Hangul becomes its letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_INITIALS: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS: Final = "ㅏ ㅐ ㅑ ㅒ ㅓ ㅔ ㅕ ㅖ ㅗ ㅗㅏ ㅗㅐ ㅗㅣ ㅛ ㅜ ㅜㅓ ㅜㅔ ㅜㅣ ㅠ ㅡ ㅡㅣ ㅣ"
_FINALS: Final = (
    "ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ"
)
# As they are typed on a Korean keyboard: ㅘ is ㅗ then ㅏ, ㄳ is ㄱ then ㅅ. A consonant is one letter wherever it
# stands, so that 한 matches what becomes 하나.
_LETTERS: Final = {
    **{chr(0x1100 + n): letter for n, letter in enumerate(_INITIALS)},
    **{chr(0x1161 + n): letters for n, letters in enumerate(_VOWELS.split())},
    **{chr(0x11A8 + n): letters for n, letters in enumerate(_FINALS.split())},
}
COMPOUNDS: Final = frozenset(each for each in f"{_VOWELS} {_FINALS}".split() if len(each) > 1)
"""Two letters that are one vowel or one final: taken for another one, they are one mistake."""
_APOSTROPHES: Final = frozenset("'\u2019\u02bc\uff07")
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_SYLLABLES_PER_INITIAL: Final = 588


@lru_cache(maxsize=1 << 16)
def fold_character(character: str) -> str:
    """Return the letters that one character of NFC text is searched by; a space for what separates words.

    Apostrophes and Latin accents become nothing.
    """
    if character in _APOSTROPHES:
        return ""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).casefold())
    plain = "".join(_LETTERS.get(each, each) for each in decomposed if not "\u0300" <= each <= "\u036f")
    # Marks of other scripts (kana, Devanagari) carry meaning: they are composed again and stay.
    composed = unicodedata.normalize("NFC", plain).casefold()
    return "".join(each if unicodedata.category(each)[0] in "LNM" else " " for each in composed)


def fold(text: str) -> str:
    """Return the words of a text as letters, separated by single spaces."""
    return " ".join("".join(map(fold_character, unicodedata.normalize("NFC", text))).split())


def initials(text: str) -> str:
    """Return the initial consonants (초성) of the Hangul syllables of a text, one space where something else stands."""
    found: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        code = ord(character)
        if _FIRST_SYLLABLE <= code <= _LAST_SYLLABLE:
            found.append(_INITIALS[(code - _FIRST_SYLLABLE) // _SYLLABLES_PER_INITIAL])
        elif fold_character(character).strip():
            found.append(" ")
    return " ".join("".join(found).split())


def is_jamo(letter: str) -> bool:
    """Return whether a folded letter is one of Hangul."""
    return "\u3131" <= letter <= "\u3163"


def is_consonant(letter: str) -> bool:
    """Return whether a folded letter is a consonant of Hangul."""
    return "\u3131" <= letter <= "\u314e"


def is_dense(letter: str) -> bool:
    """Return whether a folded letter is of a script that is written without reliable spaces: Hangul, kana, Han."""
    return (
        "\u3041" <= letter <= "\u318e"
        or "\u3400" <= letter <= "\u9fff"
        or "\uf900" <= letter <= "\ufaff"
        or "\U00020000" <= letter <= "\U0003ffff"
    )


def runs(word: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a folded word, each with whether it is of a dense script."""
    start = 0
    for position in range(1, len(word) + 1):
        if position == len(word) or is_dense(word[position]) != is_dense(word[start]):
            yield word[start:position], is_dense(word[start])
            start = position


def pairs(run: str) -> list[str]:
    """Return the bigrams of a run."""
    return [run[at : at + 2] for at in range(len(run) - 1)]
