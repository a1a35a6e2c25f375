"""Shapes of the HTTP API of highlights."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from kit.encoded_json import Encoded, extend
from kit.web.schemas import DECIMAL, Schema, View
from services.catalog.domain import clean_text
from services.catalog.highlights.domain import (
    MAX_CATEGORY_CHARS,
    MAX_HIGHLIGHTS,
    MAX_PLAYERS,
    MAX_POT,
    MAX_SECONDS,
    MAX_TITLE_CHARS,
    HighlightValues,
    clean_players,
)
from services.catalog.models import Highlight
from services.catalog.schemas import VideoView

Seconds = Annotated[
    float, DECIMAL, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False, description="From the beginning of the film.")
]
Category = Annotated[
    str, Field(max_length=MAX_CATEGORY_CHARS), AfterValidator(lambda text: clean_text(text, MAX_CATEGORY_CHARS))
]
Title = Annotated[
    str, Field(max_length=MAX_TITLE_CHARS), AfterValidator(lambda text: clean_text(text, MAX_TITLE_CHARS))
]
Players = Annotated[list[str], Field(max_length=MAX_PLAYERS), AfterValidator(clean_players)]
Pot = Annotated[float, DECIMAL, Field(gt=0, le=MAX_POT, allow_inf_nan=False, description="null where none is known.")]

NAMES = {"start": "start_sec", "end": "end_sec"}
"""Names of the API that differ from those of the rules."""


class HighlightRequest(Schema):
    """A highlight."""

    start: Seconds
    end: Seconds
    category: Category = ""
    title: Title = ""
    players: Players = Field(default_factory=list)
    pot_size: Pot | None = None

    def values(self) -> HighlightValues:
        """Return the same for the use cases."""
        return HighlightValues(self.start, self.end, self.category, self.title, self.players, self.pot_size or 0.0)


class HighlightList(Schema):
    """All highlights of a video."""

    items: list[HighlightRequest] = Field(max_length=MAX_HIGHLIGHTS)


class HighlightEdit(Schema):
    """New fields of a highlight; what is left out stays as it is."""

    start: Seconds | None = None
    end: Seconds | None = None
    category: Category | None = None
    title: Title | None = None
    players: Players | None = None
    pot_size: Pot | None = None

    @field_validator("start", "end", "category", "title", "players")
    @classmethod
    def _is_given(cls, value: object) -> object:
        if value is None:
            raise ValueError("leave it out to keep it as it is")
        return value

    def given(self) -> frozenset[str]:
        """Return the names of the fields that change, as `HighlightValues` has them."""
        return frozenset(NAMES.get(name, name) for name in self.model_fields_set)

    def values(self) -> HighlightValues:
        """Return the values for the use case, of which only those in `given` count."""
        return HighlightValues(
            self.start or 0.0,
            self.end or 0.0,
            self.category or "",
            self.title or "",
            self.players or [],
            self.pot_size or 0.0,
        )


class HighlightView(View):
    """A highlight of a video."""

    id: str
    video_id: str
    start: float = Field(description="In seconds from the beginning of the film.")
    end: float
    category: str
    title: str
    players: list[str]
    pot_size: float | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, highlight: Highlight) -> HighlightView:
        """Return a highlight as the API shows it."""
        return cls(
            id=highlight.id,
            video_id=highlight.video_id,
            start=highlight.start_sec,
            end=highlight.end_sec,
            category=highlight.category,
            title=highlight.title,
            players=highlight.players,
            pot_size=highlight.pot_size or None,
            created_at=highlight.created_at,
            updated_at=highlight.updated_at,
        )


class HighlightsView(View):
    """All highlights of a video, by their start."""

    items: list[HighlightView]


class ListedHighlightView(HighlightView):
    """A highlight in the list over all films. It is played as a range of its film, from `start` on."""

    video: VideoView


def encode_listed(highlight: Highlight, card: Encoded) -> Encoded:
    """Return a highlight with the card of its film in the shape of `ListedHighlightView`."""
    return extend(Encoded(HighlightView.of(highlight).model_dump_json().encode()), {"video": card})
