"""Tolerate typos: edit distance between words, where neighbours that changed places count as one edit."""

from __future__ import annotations

from typing import Final

_ONE_EDIT_FROM: Final = 4
_TWO_EDITS_FROM: Final = 8
FIRST_LETTER_COST: Final = 0.5
"""Added when the first letter differs: people get that one right."""


def allowed_edits(word: str) -> int:
    """Return how many edits a word of this length may have: 0 below 4 letters, 1 below 8, else 2."""
    return (len(word) >= _ONE_EDIT_FROM) + (len(word) >= _TWO_EDITS_FROM)


def typo_cost(typed: str, word: str) -> float | None:
    """Return the edits between a typed word and one that exists, more if the first letter differs; None for too many.

    The distance is that of optimal string alignment: insertion, deletion, substitution and transposition are one each.
    """
    limit = allowed_edits(typed)
    if abs(len(typed) - len(word)) > limit or len(set(typed) ^ set(word)) > 2 * limit:
        return None
    edits = _distance(typed, word, limit)
    if edits > limit:
        return None
    return edits + (FIRST_LETTER_COST if typed[0] != word[0] else 0.0)


def _distance(left: str, right: str, limit: int) -> int:
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, letter in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            value = min(above[column] + 1, current[-1] + 1, above[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                value = min(value, before[column - 2] + 1)
            current.append(value)
        if min(current) > limit:
            return limit + 1
        before, above = above, current
    return above[-1]
