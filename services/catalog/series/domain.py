"""Rules of series. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.catalog.domain import Caller

MAX_NUMBER = 100_000
"""The highest season and episode."""
_LAST = MAX_NUMBER + 1
"""Where a video without a season or an episode is in order."""


class Numbered(Protocol):
    """A video's place in its series."""

    @property
    def id(self) -> str:
        """The video's id."""

    @property
    def season(self) -> int | None:
        """None when it has none."""

    @property
    def episode(self) -> int | None:
        """None when it has none."""


class Owned(Protocol):
    """What the rules need to know of a series."""

    @property
    def owner_id(self) -> str:
        """The user who made it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A video's new place in a series."""

    series_id: str | None
    """None takes it out of its series."""
    season: int | None = None
    episode: int | None = None


@dataclass(frozen=True, slots=True)
class PlacementEdit:
    """A change of a video's place in a series."""

    given: frozenset[str]
    """Names of the parts below that are changed; the others stay as they are."""
    series_id: str | None = None
    season: int | None = None
    episode: int | None = None

    def applied_to(self, current: Placement) -> Placement:
        """Return the new place. A video that comes into another series takes no number with it."""
        series_id = self.series_id if "series_id" in self.given else current.series_id
        stays = series_id == current.series_id
        season = self.season if "season" in self.given else current.season if stays else None
        episode = self.episode if "episode" in self.given else current.episode if stays else None
        return Placement(series_id, season, episode)


N = TypeVar("N", bound=Numbered)


def may_change_series(caller: Caller, series: Owned) -> bool:
    """Return whether a caller may edit or delete a series, and put videos into it."""
    return caller.is_admin or series.owner_id == caller.user_id


def in_order(videos: Sequence[N]) -> list[N]:
    """Return the videos of a series by season and episode; those without a number come last, in the order of time."""

    def place(video: N) -> tuple[int, int, str]:
        season = _LAST if video.season is None else video.season
        return season, _LAST if video.episode is None else video.episode, video.id

    return sorted(videos, key=place)


def by_season(videos: Sequence[N]) -> list[tuple[int | None, list[N]]]:
    """Return the seasons of a series in order, each with its episodes in order; the last may be None, of no season."""
    seasons: dict[int | None, list[N]] = {}
    for video in in_order(videos):
        seasons.setdefault(video.season, []).append(video)
    return list(seasons.items())


def neighbours(videos: Sequence[N], video_id: str) -> tuple[N | None, N | None]:
    """Return what comes before and after an episode; None at either end, and twice when it is not among them."""
    ordered = in_order(videos)
    index = next((number for number, video in enumerate(ordered) if video.id == video_id), None)
    if index is None:
        return None, None
    before = ordered[index - 1] if index else None
    return before, ordered[index + 1] if index + 1 < len(ordered) else None
