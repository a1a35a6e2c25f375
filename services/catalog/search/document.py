"""Make what is indexed of a title, its names (tags, people) and a longer text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.catalog.search.text import fold, initials, is_jamo, pairs, runs

MAX_KEY: Final = 100
"""Letters of a title that the index of titles holds: an entry of PostgreSQL's B-tree takes 2,700 bytes."""
MAX_WORD: Final = 40
MAX_BODY_RUN: Final = 12
_MIN_VOCABULARY: Final = 3
"""Letters of the shortest word that a typed one may be a typo of."""

# A token begins with a letter that says what it is.
WORD: Final = "w"
"""A word of a script with spaces, of any field."""
PAIR: Final = "j"
"""Two neighbouring letters of a dense script, of title or names."""
INITIAL_PAIR: Final = "i"
"""Two neighbouring initial consonants, of title or names."""
EDGE: Final = "e"
"""The first letter of a Hangul word of title or names; each character of Han and kana."""
BODY_RUN: Final = "d"
"""A word of a dense script of the longer text. It is found by its beginning only: long texts share most bigrams."""


@dataclass(frozen=True, slots=True)
class IndexedText:
    """What a document is found and ranked by."""

    title_key: str
    """The first letters of the title, without spaces."""
    folded: str
    """Title and names, folded, a line each, the title first."""
    initials: str
    """Initial consonants of the same, a line each."""
    tokens: frozenset[str]
    vocabulary: frozenset[str]
    """Words that typed ones with a typo are compared with."""


def indexed_text(title: str, names: Sequence[str], body: str) -> IndexedText:
    """Return what is indexed of a document."""
    lines = [fold(title), *filter(None, map(fold, names))]
    consonants = [initials(title), *filter(None, map(initials, names))]
    tokens: set[str] = set()
    vocabulary: set[str] = set()
    for line, text in zip(lines, [title, *[name for name in names if fold(name)]], strict=True):
        words = {*_words(line), *_compounds(text)}
        tokens.update(WORD + word[:MAX_WORD] for word in words)
        vocabulary.update(word for word in words if _MIN_VOCABULARY <= len(word) <= MAX_WORD and word.isalpha())
        tokens.update(_dense_tokens(line))
    tokens.update(INITIAL_PAIR + pair for line in consonants for part in line.split() for pair in pairs(part))
    tokens.update(_body_tokens(fold(body)))
    return IndexedText(
        title_key=lines[0].replace(" ", "")[:MAX_KEY],
        folded="\n".join(lines),
        initials="\n".join(consonants),
        tokens=frozenset(tokens),
        vocabulary=frozenset(vocabulary),
    )


def _words(line: str) -> Iterator[str]:
    return (run for word in line.split() for run, dense in runs(word) if not dense)


def _compounds(text: str) -> Iterator[str]:
    """Yield words that are written with punctuation inside, without it: `spiderman` for Spider-Man."""
    for chunk in text.split():
        parts = fold(chunk).split()
        joined = "".join(parts)
        if len(parts) > 1 and all(not dense for _, dense in runs(joined)):
            yield joined


def _dense_tokens(line: str) -> Iterator[str]:
    for run, dense in runs(line.replace(" ", "")):
        if dense:
            yield from (PAIR + pair for pair in pairs(run))
            yield from (EDGE + letter for letter in run if not is_jamo(letter))
    yield from (EDGE + run[0] for word in line.split() for run, dense in runs(word) if dense)


def _body_tokens(body: str) -> Iterator[str]:
    for word in body.split():
        for run, dense in runs(word):
            yield BODY_RUN + run[:MAX_BODY_RUN] if dense else WORD + run[:MAX_WORD]
