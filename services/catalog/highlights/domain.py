"""Rules of highlights. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.catalog.domain import clean_text, search_key

MAX_HIGHLIGHTS = 1000
"""Highlights of one video."""
MAX_SECONDS = 30 * 86_400.0
MAX_CATEGORY_CHARS = 50
MAX_TITLE_CHARS = 200
MAX_PLAYERS = 20
MAX_PLAYER_CHARS = 60
MAX_POT = 1e15
MAX_KEY_CHARS = 200
_TOLERANCE_SEC = 1.0
"""Accepted beyond the end of a film, whose duration is rounded by some tools."""


@dataclass(frozen=True, slots=True)
class HighlightValues:
    """All that an editor sets of a highlight. Times are seconds from the beginning of the film."""

    start_sec: float
    end_sec: float
    category: str = ""
    title: str = ""
    players: list[str] = field(default_factory=list)
    pot_size: float = 0.0
    """0 where none is known."""


def clean_players(names: Sequence[str]) -> list[str]:
    """Return names of players: trimmed, without repeats, in their order.

    Raises:
        ValueError: too many, or one is too long.
    """
    kept = list(dict.fromkeys(name for each in names if (name := clean_text(each, len(each)))))
    if len(kept) > MAX_PLAYERS:
        raise ValueError(f"at most {MAX_PLAYERS} players")
    if any(len(name) > MAX_PLAYER_CHARS for name in kept):
        raise ValueError(f"a player's name has at most {MAX_PLAYER_CHARS} characters")
    return kept


def player_key(name: str) -> str:
    """Return the form of a name that is looked up: case and Unicode form folded, spaces beside Korean dropped."""
    return search_key(name).rpartition("\n")[2][:MAX_KEY_CHARS]


def problem_with(values: HighlightValues, duration_sec: float | None) -> tuple[str, str] | None:
    """Return the field that is wrong and why; None when all is well.

    Args:
        values: of the highlight.
        duration_sec: of the film, in seconds; None while it is unknown.
    """
    if values.end_sec <= values.start_sec:
        return "end", "must be after the start"
    if duration_sec is not None and values.end_sec > duration_sec + _TOLERANCE_SEC:
        return "end", f"must be within the film, which is {duration_sec:.1f} seconds long"
    return None


def label(values: HighlightValues) -> str:
    """Return what a highlight is called in a list of chapters: its title, or else its category and players."""
    return values.title or ": ".join(part for part in (values.category, ", ".join(values.players)) if part)
