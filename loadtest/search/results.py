"""What was measured, as it is kept in a file."""

from __future__ import annotations

from pydantic import BaseModel

SQLITE = "SQLite"
POSTGRESQL = "PostgreSQL"


class Quality(BaseModel):
    """What one kind of index found."""

    name: str = ""
    films: int = 0
    recall: dict[str, float]
    """The share of queries of each kind with the wanted title among the first ten."""
    strokes: int
    strokes_missed: int
    """Key strokes without the wanted title among the first twenty although at most twenty titles begin so."""
    strokes_empty: int
    """Key strokes at which nothing at all was found."""
    precision: float
    """The share of results for half an English word that have a word beginning so."""
    index_ratio: float | None = None
    """Bytes of the index, in those of a plain word index of the same titles."""


class Timing(BaseModel):
    """What some requests took."""

    requests: int
    per_sec: float
    p50_ms: float
    p99_ms: float
    server_ms: float
    """Processor time of the server a request."""
    database_ms: float
    """Processor time of PostgreSQL a request; 0 with SQLite, which is part of the server."""
    client_share: float
    """Share of one core that the client took."""


class RouteTiming(BaseModel):
    """What one route took."""

    alone: Timing
    """One request at a time."""
    busy: Timing
    """Several at a time."""


class Speed(BaseModel):
    """What was measured on one database with one library."""

    database: str
    films: int
    at: str
    load: float
    """Load of the machine, over the last minute."""
    commit: str
    add_ms: list[float]
    """Milliseconds of single films that were added with their index."""
    routes: dict[str, RouteTiming]
    bare: dict[str, RouteTiming]
    """The routes of `loadtest.search.bare`, by the names of ours."""


class Results(BaseModel):
    """Everything that the page shows."""

    quality: list[Quality] = []
    speed: list[Speed] = []
