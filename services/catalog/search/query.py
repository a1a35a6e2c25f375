"""Parse what was typed, and say what a document's tokens must hold to match it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, pairwise
from typing import Final

from services.catalog.search.document import BODY_RUN, EDGE, INITIAL_PAIR, MAX_BODY_RUN, MAX_KEY, MAX_WORD, PAIR, WORD
from services.catalog.search.text import COMPOUNDS, fold, is_consonant, pairs, runs

MAX_CHARACTERS: Final = 200
MAX_TERMS: Final = 12
_FUZZY_FROM: Final = 4
"""Letters of a Hangul term from which one may be wrong: two syllables at least."""
_WINDOWS: Final = 6
_BIGRAM: Final = 2
_FUZZY_TERMS: Final = 3

Near = Mapping[str, Mapping[str, float]]
"""For each typed word the existing words that it may be a typo of, with their costs."""


class TermKind(Enum):
    """How a term is looked up."""

    WORD = "word"
    DENSE = "dense"
    """Letters of Hangul, kana or Han: found anywhere."""
    INITIALS = "initials"
    """Consonants only: also the initials of syllables."""


@dataclass(frozen=True, slots=True)
class Term:
    """One run of letters of a query."""

    letters: str
    kind: TermKind


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a document must have; with `is_prefix`, one that begins so."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these."""

    parts: tuple[Expression, ...]


Expression = Token | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands between two spaces of a query."""

    terms: tuple[Term, ...]
    joined: str | None
    """Its words without the punctuation between them; None for a single word."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. Without chunks it matches nothing."""

    text: str
    key: str
    """Its letters without spaces, which a title is compared with."""
    chunks: tuple[Chunk, ...]

    @property
    def terms(self) -> list[Term]:
        """All terms."""
        return [term for chunk in self.chunks for term in chunk.terms]

    @property
    def words(self) -> list[str]:
        """The terms that are words."""
        return [term.letters for term in self.terms if term.kind is TermKind.WORD]


def parse(text: str) -> Query:
    """Return the query that a text asks."""
    text = text[:MAX_CHARACTERS]
    chunks: dict[Chunk, None] = {}
    count = 0
    for written in text.split():
        words = fold(written).split()
        terms = tuple(_term(run, dense) for word in words for run, dense in runs(word))[: MAX_TERMS - count]
        count += len(terms)
        if terms:
            is_compound = len(words) > 1 and all(term.kind is TermKind.WORD for term in terms)
            chunks[Chunk(terms, "".join(words)[:MAX_WORD] if is_compound else None)] = None
    return Query(text, fold(text).replace(" ", "")[:MAX_KEY], tuple(chunks))


def _term(run: str, dense: bool) -> Term:  # noqa: FBT001 - as `runs` gives it
    if not dense:
        return Term(run[:MAX_WORD], TermKind.WORD)
    is_initials = len(run) > 1 and all(map(is_consonant, run))
    return Term(run, TermKind.INITIALS if is_initials else TermKind.DENSE)


def strict(query: Query) -> Expression:
    """Return what the tokens of a document hold that has every term as it was typed."""
    return AllOf(tuple(map(_chunk, query.chunks)))


def _chunk(chunk: Chunk) -> Expression:
    parts = AllOf(tuple(map(_as_typed, chunk.terms)))
    return parts if chunk.joined is None else AnyOf((parts, Token(WORD + chunk.joined, is_prefix=True)))


def _as_typed(term: Term) -> Expression:
    letters = term.letters
    if term.kind is TermKind.WORD:
        return Token(WORD + letters, is_prefix=True)
    if len(letters) == 1:
        return Token(EDGE + letters)
    options: list[Expression] = [_pairs(PAIR, letters)]
    if term.kind is TermKind.INITIALS:
        options.append(_pairs(INITIAL_PAIR, letters))
    options.append(Token(BODY_RUN + letters[:MAX_BODY_RUN], is_prefix=True))
    return AnyOf(tuple(options))


def _pairs(token_kind: str, letters: str) -> Expression:
    return AllOf(tuple(Token(token_kind + pair) for pair in dict.fromkeys(pairs(letters))))


def tolerant(query: Query, near: Near) -> list[Expression]:
    """Return what the tokens of documents hold that match with typos: one expression for each place of a wrong letter.

    Words may be any of `near`. One letter of one Hangul term may be wrong, so the bigrams beside it are left out.
    """
    common = {term: _or_near(term, near) for term in query.terms}
    variants: list[Expression] = []
    misspelt = [term for term in query.terms if _may_be_misspelt(term)]
    for term in misspelt[:_FUZZY_TERMS]:
        others = [common[other] for other in common if other is not term]
        variants += [AllOf((*others, *kept)) for kept in _windows(term.letters)]
    return variants or [AllOf(tuple(common.values()))]


def _may_be_misspelt(term: Term) -> bool:
    return term.kind is TermKind.DENSE and len(term.letters) >= _FUZZY_FROM


def _or_near(term: Term, near: Near) -> Expression:
    found = near.get(term.letters, {})
    return AnyOf((_as_typed(term), *(Token(WORD + word) for word in found)))


def _windows(letters: str) -> list[tuple[Expression, ...]]:
    """Return the bigrams that remain for each stretch in which a letter may be wrong."""
    count = min(_WINDOWS, len(letters))
    bounds = dict.fromkeys(
        _beside_compound(letters, round(number * len(letters) / count)) for number in range(count + 1)
    )
    kept = [dict.fromkeys(chain(pairs(letters[:begin]), pairs(letters[end:]))) for begin, end in pairwise(bounds)]
    return [tuple(Token(PAIR + pair) for pair in each) for each in kept if each]


def _beside_compound(letters: str, at: int) -> int:
    """Return a place to divide letters at: behind a vowel or final of two letters that begins before."""
    return at + 1 if letters[max(0, at - 1) : at + 1] in COMPOUNDS else at


def terms_to_verify(query: Query) -> Sequence[Term]:
    """Return the terms of which bigrams are not enough: their letters may stand apart."""
    return [term for term in query.terms if term.kind is not TermKind.WORD and len(term.letters) > _BIGRAM]
