"""Rules of search: folding, keyboards, typos, ranking and marks. No database."""

from __future__ import annotations

import unicodedata

import pytest

from services.catalog.search.distance import typo_cost
from services.catalog.search.document import indexed_text
from services.catalog.search.keyboard import other_layout
from services.catalog.search.query import AllOf, Expression, Token, parse, tolerant
from services.catalog.search.scoring import Candidate, Rank, Tier, rank, spans
from services.catalog.search.text import fold, initials


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("한글 영화", "ㅎㅏㄴㄱㅡㄹ ㅇㅕㅇㅎㅗㅏ"),
        ("닭", "ㄷㅏㄹㄱ"),
        ("ㄳ ㅘ", "ㄱㅅ ㅗㅏ"),
        (unicodedata.normalize("NFD", "한글"), "ㅎㅏㄴㄱㅡㄹ"),
        ("Ocean's  Eleven!", "oceans eleven"),
        ("AMÉLIE—Straße", "amelie strasse"),
        ("\uff46\uff55\uff4c\uff4c \ufb01lm", "full film"),
        ("が", "が"),
        ("\x00 %_ ", ""),
    ],
)
def test_fold(text: str, letters: str) -> None:
    assert fold(text) == letters


def test_initials() -> None:
    assert initials("한글 영화 2: 까치") == "ㅎㄱㅇㅎ ㄲㅊ"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tkfkd", "사랑"),
        ("ㅗ디ㅣㅐ", "hello"),
        ("dkssud gktpdy", "안녕 하세요"),
        ("ekfrrhrl", "닭고기"),
        ("rhkwk", "과자"),
        ("ㅆㄷㄴㅅ", "test"),
        ("hello", None),
        ("naïve", None),
        ("123", None),
    ],
)
def test_other_layout(typed: str, meant: str | None) -> None:
    assert other_layout(typed) == meant


@pytest.mark.parametrize(
    ("typed", "word", "cost"),
    [
        ("cat", "car", None),
        ("film", "flim", 1),
        ("film", "fim", 1),
        ("film", "milm", 1.5),
        ("film", "fill", 1),
        ("film", "filling", None),
        ("godfather", "godfahter", 1),
        ("godfather", "gudfahter", 2),
        ("godfather", "gudfahtre", None),
    ],
)
def test_typo_cost(typed: str, word: str, cost: float | None) -> None:
    assert typo_cost(typed, word) == cost


def candidate(number: int, title: str, *names: str, views: int = 0) -> Candidate:
    text = indexed_text(title, names, "")
    return Candidate(number, text.folded, text.initials, views)


def test_ranks_exact_then_beginning_then_words_then_tags_then_typos() -> None:
    best_first = [
        candidate(1, "Night"),
        candidate(2, "Nightfall"),
        candidate(3, "The night mail"),
        candidate(4, "The nightly mail"),
        candidate(5, "Mail", "night"),
        candidate(7, "Nigth"),
    ]
    query = parse("night")
    near = {"night": {"nigth": 1.0}}
    ranks = [rank(query, each, near) for each in best_first]
    assert None not in ranks
    assert [each.tier for each in ranks if each] == [
        Tier.EXACT, Tier.TITLE_BEGINS, Tier.TITLE_WORDS, Tier.TITLE_WORD_BEGINNINGS, Tier.NAMES, Tier.TYPO,
    ]  # fmt: skip
    assert sorted(each for each in ranks if each) == ranks


def test_views_then_recency_decide_between_equals() -> None:
    query = parse("night")
    ranks = [rank(query, candidate(number, "The night", views=views)) for number, views in ((1, 5), (9, 0), (8, 0))]
    assert [isinstance(each, Rank) for each in ranks] == [True] * 3
    assert sorted(ranks, key=lambda each: each or Rank(Tier.TYPO, 0, 0, 0)) == ranks


def test_one_wrong_letter_of_hangul_matches_and_two_do_not() -> None:
    film = candidate(1, "봄날은 간다")
    found = rank(parse("봄낼은"), film, {})
    assert found is not None
    assert (found.tier, found.cost) == (Tier.TYPO, 1)
    assert rank(parse("봄넬온"), film, {}) is None


@pytest.mark.parametrize(
    ("typed", "title"),
    [("앨요일", "월요일"), ("월범집", "앨범집"), ("담갈비", "닭갈비"), ("닭배집", "담배집"), ("괘자집", "과자집")],
)
def test_compound_vowel_or_final_counts_as_one_letter(typed: str, title: str) -> None:
    query = parse(typed)
    found = rank(query, candidate(1, title), {})
    assert found is not None
    assert (found.tier, found.cost) == (Tier.TYPO, 1)
    tokens = indexed_text(title, [], "").tokens
    variants = [
        [part.text for part in each.parts if isinstance(part, Token)] for each in map(as_all_of, tolerant(query, {}))
    ]
    assert any(tokens.issuperset(each) for each in variants)


def as_all_of(expression: Expression) -> AllOf:
    assert isinstance(expression, AllOf)
    return expression


def test_unfinished_syllables_are_beginnings() -> None:
    for typed in ("ㅎ", "하", "한", "한ㄱ", "한그", "한글", "한글ㅇ", "한글 여"):
        found = rank(parse(typed), candidate(1, "한글 영화"))
        assert found is not None
        assert found.tier is Tier.TITLE_BEGINS, typed


@pytest.mark.parametrize(
    ("typed", "title", "marked"),
    [
        ("한그", "한글 영화", ["한글"]),
        ("영화", "한글 영화", ["영화"]),
        ("ㄱㅇ", "한글 영화", ["글", "영"]),
        ("mail nig", "The Night Mail", ["Nig", "Mail"]),
        ("ail", "The Night Mail", []),
        ("the night", "The Night Mail", ["The", "Night"]),
        ("strasse", "Große Straße", ["Straße"]),
        ("영화2", "영화 2", ["영화", "2"]),
    ],
)
def test_marks(typed: str, title: str, marked: list[str]) -> None:
    assert [title[begin:end] for begin, end in spans(parse(typed), title)] == marked


def test_marks_what_a_typo_found() -> None:
    title = "The Night Mail"
    assert spans(parse("nigth"), title, {"nigth": {"night": 1.0}}) == [(4, 9)]


def test_a_query_is_bounded() -> None:
    query = parse("ab cd ef " * 500)
    assert len(query.terms) <= 12
    assert len(tolerant(parse("가나다라 " * 100), {})) <= 18
    assert parse(" \x00 ").chunks == ()
