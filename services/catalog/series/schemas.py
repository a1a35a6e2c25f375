"""Shapes of the HTTP API of series."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from kit.errors import invalid_field
from kit.web.schemas import Schema, View
from services.catalog.domain import MAX_DESCRIPTION_CHARS, MAX_TAGS, MAX_TITLE_CHARS, clean_tags, clean_text
from services.catalog.schemas import VideoView, thumbnail_url
from services.catalog.series.service import EpisodePlace, ListedSeries, SeriesDetail, SeriesLabels


class SeriesRequest(Schema):
    """A new series."""

    title: str = Field(min_length=1, max_length=MAX_TITLE_CHARS)
    description: str = Field("", max_length=MAX_DESCRIPTION_CHARS)
    tags: list[str] = Field(default=[], max_length=MAX_TAGS)

    def labels(self) -> SeriesLabels:
        """Return the same for the use case. Raises ApiError: VALIDATION_FAILED for text that is not valid."""
        return _labels(self.title, self.description, self.tags)


class SeriesEdit(Schema):
    """New labels of a series; what is left out stays as it is."""

    title: str | None = Field(None, min_length=1, max_length=MAX_TITLE_CHARS)
    description: str | None = Field(None, max_length=MAX_DESCRIPTION_CHARS)
    tags: list[str] | None = Field(None, max_length=MAX_TAGS)

    def labels(self) -> SeriesLabels:
        """Return the same for the use case. Raises ApiError: VALIDATION_FAILED for text that is not valid."""
        return _labels(self.title, self.description, self.tags)


class SeriesView(View):
    """A series."""

    id: str
    title: str
    description: str
    tags: list[str]
    owner_id: str = Field(description="The user who made it.")
    episode_count: int = Field(description="The episodes that the caller may see.")
    thumbnail_url: str | None = Field(description="The picture of its first episode.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, listed: ListedSeries) -> SeriesView:
        """Return a series as lists show it."""
        series = listed.series
        return cls(
            id=series.id,
            title=series.title,
            description=series.description,
            tags=series.tags,
            owner_id=series.owner_id,
            episode_count=listed.episode_count,
            thumbnail_url=thumbnail_url(listed.first) if listed.first else None,
            created_at=series.created_at,
            updated_at=series.updated_at,
        )


class SeasonView(View):
    """A season with its episodes in order."""

    season: int | None = Field(description="null for the films of no season, which come last.")
    episodes: list[VideoView]


class SeriesDetailView(SeriesView):
    """A series with its seasons in order."""

    seasons: list[SeasonView]

    @classmethod
    def of_detail(cls, detail: SeriesDetail) -> SeriesDetailView:
        """Return a series with all that the caller may see of it."""
        episodes = [video for _, season in detail.seasons for video in season]
        first = next((video for video in episodes if video.status == "ready"), None)
        plain = SeriesView.of(ListedSeries(detail.series, len(episodes), first)).model_dump()
        seasons = [
            SeasonView(season=number, episodes=[VideoView.of(video) for video in videos])
            for number, videos in detail.seasons
        ]
        return cls(**plain, seasons=seasons)


class SeriesReference(View):
    """The name of a series."""

    id: str
    title: str


class EpisodePlaceView(View):
    """Where an episode stands in its series."""

    series: SeriesReference
    season: int | None
    episode: int | None
    previous: VideoView | None = Field(description="null for the first.")
    next: VideoView | None = Field(description="null for the last.")

    @classmethod
    def of(cls, place: EpisodePlace) -> EpisodePlaceView:
        """Return the place as the API shows it."""
        return cls(
            series=SeriesReference(id=place.series.id, title=place.series.title),
            season=place.video.season,
            episode=place.video.episode,
            previous=VideoView.of(place.previous) if place.previous else None,
            next=VideoView.of(place.next) if place.next else None,
        )


def _labels(title: str | None, description: str | None, tags: list[str] | None) -> SeriesLabels:
    cleaned = None if title is None else clean_text(title, MAX_TITLE_CHARS)
    if cleaned == "":
        raise invalid_field("title", "has nothing in it that can be shown")
    try:
        kept = None if tags is None else clean_tags(tags)
    except ValueError as error:
        raise invalid_field("tags", str(error)) from error
    return SeriesLabels(cleaned, None if description is None else description.replace("\x00", "").strip(), kept)
