"""Rules of the home page and of recommendations. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from services.catalog.series.domain import in_order


class RowKind(StrEnum):
    """What a row of the home page shows."""

    CONTINUE_WATCHING = "continue_watching"
    NEXT_EPISODE = "next_episode"
    NEW = "new"
    TRENDING = "trending"
    BECAUSE_YOU_WATCHED = "because_you_watched"
    TAG = "tag"
    SERIES = "series"
    CORPORATION = "corporation"


VIEWER_KINDS: Final = frozenset(
    {RowKind.CONTINUE_WATCHING, RowKind.NEXT_EPISODE, RowKind.TRENDING, RowKind.BECAUSE_YOU_WATCHED}
)
"""Rows made of what progress knows. The others are made of the catalogue alone."""


class Reason(StrEnum):
    """Why a video is recommended."""

    SAME_SERIES = "same_series"
    CO_WATCHED = "co_watched"
    SHARED_TAGS = "shared_tags"


class Episode(NamedTuple):
    """A video's place in a series."""

    id: str
    series_id: str
    season: int | None
    episode: int | None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The videos of a row, before those that the caller may not see are left out."""

    kind: RowKind
    key: str
    """Tells rows of one kind apart: the tag, the id of the series or of the video watched; else empty."""
    label: str
    """Its name: the tag, or the title of the series or video; else empty."""
    ids: Sequence[str]
    next: str
    """Where the next page begins; empty when there is none."""


def parse_rows(text: str) -> tuple[RowKind, ...]:
    """Return the kinds of rows in a comma-separated list, in its order.

    Raises:
        ValueError: a kind is unknown, or there twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(RowKind)]
    if unknown or len(set(names)) != len(names):
        raise ValueError(f"must name each row once, of: {', '.join(RowKind)}")
    return tuple(map(RowKind, names))


def most_used(tags: Iterable[Sequence[str]], limit: int) -> list[str]:
    """Return the tags that most of the videos have, the most used first; one that a single video has is no row."""
    counted = Counter(tag for each in tags for tag in each)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [tag for tag, count in ordered if count > 1][:limit]


def series_to_continue(watched: Sequence[tuple[str, bool]], series_of: Mapping[str, str | None]) -> list[str]:
    """Return the series whose episode watched last was completed, the one watched last first.

    Args:
        watched: ids of videos and whether they were completed, the one watched last first.
        series_of: the series of those videos; those of no series may be left out.
    """
    latest: dict[str, bool] = {}
    for video_id, completed in watched:
        if series_id := series_of.get(video_id):
            latest.setdefault(series_id, completed)
    return [series_id for series_id, completed in latest.items() if completed]


def next_episodes(watched: Sequence[tuple[str, bool]], episodes: Sequence[Episode]) -> list[str]:
    """Return the next episode of each series whose episode watched last was completed, that series first.

    Args:
        watched: ids of videos and whether they were completed, the one watched last first.
        episodes: all episodes of the series of those videos.
    """
    by_series: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_series.setdefault(episode.series_id, []).append(episode)
    series_of = {episode.id: episode.series_id for episode in episodes}
    seen = {video_id for video_id, _ in watched}
    found: list[str] = []
    for video_id, completed in watched:
        # Only the episode of a series that was watched last counts.
        series_id = series_of.get(video_id)
        ordered = in_order(by_series.pop(series_id, [])) if series_id else []
        if not ordered or not completed:
            continue
        place = next(number for number, episode in enumerate(ordered) if episode.id == video_id)
        upcoming = (episode.id for episode in ordered[place + 1 :] if episode.id not in seen)
        found.extend([first] if (first := next(upcoming, None)) else [])
    return found


def recommend(
    video_id: str,
    episodes: Sequence[Episode],
    co_watched: Sequence[str],
    alike: Sequence[str],
    *,
    limit: int,
    next_in_series: int = 3,
) -> list[tuple[str, Reason]]:
    """Return what to watch after a video, each once, with the reason.

    The next episodes come first, then what viewers of the video watched, what has its tags, and more of the series.
    """
    ordered = [episode.id for episode in in_order(episodes)]
    place = ordered.index(video_id) + 1 if video_id in ordered else 0
    rest = [*ordered[place:], *ordered[: max(place - 1, 0)]]
    reasons: dict[str, Reason] = {}
    for ids, reason in (
        (ordered[place : place + next_in_series], Reason.SAME_SERIES),
        (co_watched, Reason.CO_WATCHED),
        (alike, Reason.SHARED_TAGS),
        (rest, Reason.SAME_SERIES),
    ):
        for each in ids:
            if each != video_id:
                reasons.setdefault(each, reason)
    return list(reasons.items())[:limit]


def without(ids: Iterable[str], hidden: Collection[str]) -> list[str]:
    """Return ids in their order, each once, without some."""
    return [each for each in dict.fromkeys(ids) if each not in hidden]


_TITLES: Final[dict[RowKind, tuple[str, str]]] = {
    RowKind.CONTINUE_WATCHING: ("Continue watching", "이어서 보기"),
    RowKind.NEXT_EPISODE: ("Next episodes", "다음 에피소드"),
    RowKind.NEW: ("New", "새로 올라온 영상"),
    RowKind.TRENDING: ("Trending this week", "이번 주 인기 영상"),
    RowKind.BECAUSE_YOU_WATCHED: ("Because you watched {}", "{} 시청자에게 추천"),
    RowKind.TAG: ("{}", "{}"),
    RowKind.SERIES: ("{}", "{}"),
    RowKind.CORPORATION: ("From your corporation", "우리 법인 영상"),
}


def title_of(kind: RowKind, label: str, *, is_korean: bool) -> str:
    """Return the title of a row."""
    return _TITLES[kind][is_korean].replace("{}", label)
