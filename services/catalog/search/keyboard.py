"""Read what was typed with the other keyboard layout switched on: `tkfkd` is 사랑, `ㅗ디ㅣㅐ` is hello."""

from __future__ import annotations

import unicodedata
from typing import Final

from services.catalog.search.text import fold_character

_KEYS: Final = dict(
    zip(
        "rRseEfaqQtTdwWczxvgkoiOjpuPhynbml",
        "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎㅏㅐㅑㅒㅓㅔㅕㅖㅗㅛㅜㅠㅡㅣ",
        strict=True,
    )
)
"""Keys of the Korean two-set keyboard (KS X 5002)."""
_LATIN: Final = {jamo: key for key, jamo in _KEYS.items()}
_INITIALS: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS: Final = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS: Final = "\0ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_TWO_VOWELS: Final = {
    "ㅗㅏ": "ㅘ", "ㅗㅐ": "ㅙ", "ㅗㅣ": "ㅚ", "ㅜㅓ": "ㅝ", "ㅜㅔ": "ㅞ", "ㅜㅣ": "ㅟ", "ㅡㅣ": "ㅢ",
}  # fmt: skip
_TWO_FINALS: Final = {
    "ㄱㅅ": "ㄳ", "ㄴㅈ": "ㄵ", "ㄴㅎ": "ㄶ", "ㄹㄱ": "ㄺ", "ㄹㅁ": "ㄻ", "ㄹㅂ": "ㄼ", "ㄹㅅ": "ㄽ", "ㄹㅌ": "ㄾ",
    "ㄹㅍ": "ㄿ", "ㄹㅎ": "ㅀ", "ㅂㅅ": "ㅄ",
}  # fmt: skip


def other_layout(text: str) -> str | None:
    """Return what the same keys write in the other layout; None when nothing sensible comes of it.

    Text with Hangul is read as Latin, other text as Hangul, which is sensible only when whole syllables result.
    """
    text = unicodedata.normalize("NFC", text)
    if any("\u3131" <= letter <= "\u3163" or "\uac00" <= letter <= "\ud7a3" for letter in text):
        return typed_as_latin(text).lower()
    return _to_hangul(text)


def typed_as_latin(text: str) -> str:
    """Return what the keys of a text in NFC write on a Latin keyboard: capitals where Shift is held for ㅆ or ㅒ."""
    keys: list[str] = []
    for character in text:
        letters = fold_character(character)
        if any("\u3131" <= letter <= "\u3163" for letter in letters):
            keys.extend(_LATIN.get(letter, letter) for letter in letters)
        else:
            keys.append(character)
    return "".join(keys)


def _to_hangul(text: str) -> str | None:
    if not any(character in _KEYS or character.lower() in _KEYS for character in text):
        return None
    if any(character.isalpha() and character.lower() not in _KEYS for character in text):
        return None
    written = typed_as_hangul(text)
    return None if any("\u3131" <= letter <= "\u3163" for letter in written) else written


def typed_as_hangul(text: str) -> str:
    """Return what the keys of a Latin text write on a Korean keyboard; single letters may remain."""
    return compose("".join(_KEYS.get(each) or _KEYS.get(each.lower(), each) for each in text))


def compose(letters: str) -> str:
    """Return a row of Hangul letters as the syllables that an input method makes of them."""
    written: list[str] = []
    at = 0
    while at < len(letters):
        syllable, used = _syllable(letters, at)
        written.append(syllable)
        at += used
    return "".join(written)


def _syllable(letters: str, at: int) -> tuple[str, int]:
    """Return the syllable that begins at a position, and how many letters it takes."""
    if letters[at] not in _INITIALS or letters[at + 1 : at + 2] not in {*_VOWELS}:
        return letters[at], 1
    vowel, used = letters[at + 1], 2
    if joined := _TWO_VOWELS.get(letters[at + 1 : at + 3]):
        vowel, used = joined, 3
    final = "\0"
    rest = letters[at + used : at + used + 3]
    if rest[:1] and rest[0] in _FINALS and not _begins_syllable(rest):
        final, used = rest[0], used + 1
        if rest[:2] in _TWO_FINALS and not _begins_syllable(rest[1:]):
            final, used = _TWO_FINALS[rest[:2]], used + 1
    code = (_INITIALS.index(letters[at]) * len(_VOWELS) + _VOWELS.index(vowel)) * len(_FINALS)
    return chr(0xAC00 + code + _FINALS.index(final)), used


def _begins_syllable(letters: str) -> bool:
    return letters[:1] in {*_INITIALS} and letters[1:2] in {*_VOWELS}
