"""Rank what matches, the same for every database: exact, beginning of the title, words, inside of words, typos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from services.catalog.search.query import Near, Query, Term, TermKind
from services.catalog.search.text import COMPOUNDS, fold_character, initials, is_dense

_ONE_TYPO: Final = 1.0
_OTHER_FIELD: Final = 0.25
"""Added to the cost of a typo found outside of the title."""


class Tier(IntEnum):
    """How well a document matches; less is better."""

    EXACT = 0
    TITLE_BEGINS = 1
    TITLE_WORDS = 2
    """Every term is a word of the title."""
    TITLE_WORD_BEGINNINGS = 3
    TITLE = 4
    NAMES = 5
    BODY = 6
    TYPO = 7


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a document is ranked by."""

    id: int
    """Newer documents have greater ones."""
    folded: str
    initials: str
    views: int


@dataclass(frozen=True, slots=True, order=True)
class Rank:
    """The order of results: recency and views decide only between equals."""

    tier: Tier
    cost: float
    views: int
    """Negative."""
    id: int
    """Negative."""


def rank(query: Query, candidate: Candidate, near: Near | None = None) -> Rank | None:
    """Return the rank of a candidate; None when it does not match.

    Args:
        query: what was asked.
        candidate: found by its tokens.
        near: for a tolerant search, the words that typed ones may be typos of; None for a strict one.
    """
    tier, cost = _strict_tier(query, candidate), 0.0
    if tier is Tier.BODY and near is not None:
        found = [_tolerant_cost(term, candidate, near) for term in query.terms]
        if None in found:
            return None
        tier, cost = Tier.TYPO, sum(each for each in found if each is not None)
    return Rank(tier, cost, -candidate.views, -candidate.id)


def _strict_tier(query: Query, candidate: Candidate) -> Tier:
    title, _, _names = candidate.folded.partition("\n")
    key = title.replace(" ", "")
    if key.startswith(query.key):
        return Tier.EXACT if key == query.key else Tier.TITLE_BEGINS
    padded, title_initials = f" {title} ", candidate.initials.partition("\n")[0]
    terms = query.terms
    if all(f" {term.letters} " in padded for term in terms):
        return Tier.TITLE_WORDS
    if all(f" {term.letters}" in padded for term in terms):
        return Tier.TITLE_WORD_BEGINNINGS
    if all(_is_in(term, padded, key, title_initials) for term in terms):
        return Tier.TITLE
    everything = " " + candidate.folded.replace("\n", " \n ")
    joined = candidate.folded.replace(" ", "")
    if all(_is_in(term, everything, joined, candidate.initials) for term in terms):
        return Tier.NAMES
    return Tier.BODY


def _is_in(term: Term, words: str, joined: str, consonants: str) -> bool:
    match term.kind:
        case TermKind.WORD:
            return f" {term.letters}" in words or _inner_run(term.letters).search(words) is not None
        case TermKind.INITIALS:
            return term.letters in consonants or term.letters in joined
        case TermKind.DENSE:
            return term.letters in joined


@lru_cache(maxsize=4096)
def _inner_run(letters: str) -> re.Pattern[str]:
    """Match a word that begins after a letter of a dense script: the 2 of 영화2."""
    return re.compile("[\u3041-\u318e\u3400-\u9fff\uf900-\ufaff]" + re.escape(letters))


def _tolerant_cost(term: Term, candidate: Candidate, near: Near) -> float | None:
    """Return the cost at which a term is found; None for a Hangul term that is not."""
    title, _, names = candidate.folded.partition("\n")
    for text, penalty in ((title, 0.0), (names, _OTHER_FIELD)):
        cost = _cost_in(term, text, near)
        if cost is not None:
            return cost + penalty
    # Tokens of the longer text are not kept: a word or the beginning of one was found there.
    return 2 * _OTHER_FIELD if term.kind is TermKind.WORD else None


def _cost_in(term: Term, text: str, near: Near) -> float | None:
    if term.kind is not TermKind.WORD:
        joined = text.replace(" ", "")
        if term.letters in joined:
            return 0.0
        return _ONE_TYPO if one_letter_wrong(term.letters).search(joined) else None
    if f" {term.letters}" in f" {text}":
        return 0.0
    words = set(text.split())
    costs = [cost for word, cost in near.get(term.letters, {}).items() if word in words]
    return min(costs, default=None)


_MAYBE_OTHER: Final = f"(?:{'|'.join(sorted(COMPOUNDS))}|.?)"


@lru_cache(maxsize=256)
def one_letter_wrong(letters: str) -> re.Pattern[str]:
    """Match letters of which one is another, is missing, or is one too many; a compound counts as one letter."""
    options = [re.escape(letters[:at]) + _MAYBE_OTHER + re.escape(letters[at + 1 :]) for at in range(len(letters))]
    options += [
        re.escape(letters[:at]) + _MAYBE_OTHER + re.escape(letters[at + 2 :])
        for at in range(len(letters) - 1)
        if letters[at : at + 2] in COMPOUNDS
    ]
    options += [re.escape(letters[:at]) + "." + re.escape(letters[at:]) for at in range(1, len(letters))]
    return re.compile("|".join(options))


def spans(query: Query, title: str, near: Near | None = None) -> list[tuple[int, int]]:
    """Return the parts of a title that match, as positions of their first character and the one after their last.

    Positions count the characters (code points) of the title in NFC. Parts are in order and don't overlap.
    """
    text = unicodedata.normalize("NFC", title)
    letters: list[str] = []
    owner: list[int] = []
    starts: set[int] = set()
    at_start = True
    for position, character in enumerate(text):
        for letter in fold_character(character):
            if letter == " ":
                at_start = True
                continue
            if at_start or (letters and is_dense(letters[-1]) and not is_dense(letter)):
                starts.add(len(letters))
            at_start = False
            letters.append(letter)
            owner.append(position)
    key = "".join(letters)
    found: list[tuple[int, int]] = []
    if key.startswith(query.key):
        found.append((0, len(query.key)))
    else:
        for term in query.terms:
            found += _places(term, key, starts, near)
    marked = {owner[letter] for begin, end in found for letter in range(begin, end)}
    marked |= {place for term in query.terms if term.kind is TermKind.INITIALS for place in _initial_places(term, text)}
    return _stretches(sorted(marked))


def _places(term: Term, key: str, starts: set[int], near: Near | None) -> Iterator[tuple[int, int]]:
    if term.kind is TermKind.WORD:
        for word in (term.letters, *(near or {}).get(term.letters, ())):
            for match in re.finditer(re.escape(word), key):
                if match.start() in starts:
                    yield match.span()
        return
    exact = [match.span() for match in re.finditer(re.escape(term.letters), key)]
    if not exact and near is not None and term.kind is TermKind.DENSE:
        exact = [match.span() for match in one_letter_wrong(term.letters).finditer(key)]
    yield from exact


def _initial_places(term: Term, text: str) -> Iterator[int]:
    """Yield the positions of the syllables whose initials a term gives."""
    syllables = [(position, initials(character)) for position, character in enumerate(text)]
    kept = [(position, initial) for position, initial in syllables if initial]
    for match in re.finditer(re.escape(term.letters), "".join(initial for _, initial in kept)):
        yield from (kept[index][0] for index in range(*match.span()))


def _stretches(positions: list[int]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for position in positions:
        if joined and joined[-1][1] == position:
            joined[-1] = (joined[-1][0], position + 1)
        else:
            joined.append((position, position + 1))
    return joined
