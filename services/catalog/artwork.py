"""Rules about pictures of videos: kinds, layouts, storyboard cues, formats. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from kit.ids import is_id


class ArtworkKind(StrEnum):
    """What was made of a film; a video has one of each at most."""

    THUMBNAIL = "thumbnail"
    POSTERS = "posters"
    STORYBOARD = "storyboard"
    SUBTITLES = "subtitles"


class PictureFormat(StrEnum):
    """How a picture is encoded."""

    JPEG = "image/jpeg"
    WEBP = "image/webp"

    @property
    def ending(self) -> str:
        """Of a file's name."""
        return "jpg" if self is PictureFormat.JPEG else "webp"


JOB_STATES: Final = frozenset({"waiting", "running", "retrying", "done", "failed"})
JOB_KINDS: Final = frozenset({"facts", "thumbnail", "posters", "storyboard", "subtitles", "protect"})
_ENDED: Final = frozenset({"done", "failed"})
_OF_EVERY_FILM: Final = frozenset({ArtworkKind.THUMBNAIL, ArtworkKind.POSTERS, ArtworkKind.STORYBOARD})


class Job(Protocol):
    """What the rules need to know of a job."""

    @property
    def kind(self) -> str:
        """One of `JOB_KINDS`."""

    @property
    def state(self) -> str:
        """One of `JOB_STATES`."""


def is_artwork_pending(status: str, jobs: Iterable[Job], details: Mapping[str, Any] | None) -> bool:
    """Return whether artwork is still to be made of a film's source.

    Args:
        status: of the video. Of a new film, jobs count also before they were reported.
        jobs: of the video.
        details: tracks of the film; artwork of text subtitles is made where there are any.
    """
    states = {job.kind: job.state for job in jobs}
    artwork = {kind: states.get(kind) for kind in ArtworkKind}
    has_text = any(track.get("text") for track in (details or {}).get("subtitles", ()))
    expected = _OF_EVERY_FILM | ({ArtworkKind.SUBTITLES} if has_text else set())
    is_new = status == "processing"
    return any(
        state not in _ENDED if state is not None else is_new and kind in expected for kind, state in artwork.items()
    )


def is_pack_folder(name: str) -> bool:
    """Return whether a job of thumbnailer packs into a folder of this name."""
    kind, _, job = name.partition("-")
    return kind == "protect" and is_id(job)


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The layout of the sheets of a film."""

    duration_sec: float
    interval_sec: float
    tiles: int
    tile_width: int
    tile_height: int
    columns: int
    tiles_a_sheet: int

    @classmethod
    def of(cls, details: dict[str, Any]) -> Self:
        """Return the layout that a row holds."""
        return cls(**details)

    @property
    def sheets(self) -> int:
        """How many sheets there are."""
        return -(-self.tiles // self.tiles_a_sheet)

    def webvtt(self, url: str, query: str) -> str:
        """Return the cues as WebVTT; each names its part of a sheet by a media fragment (Media Fragments URI 1.0).

        Args:
            url: of the sheets, up to their number.
            query: what follows the name of a sheet, such as `?v=1`; may be empty.
        """
        lines = ["WEBVTT", ""]
        for number in range(self.tiles):
            sheet, place = divmod(number, self.tiles_a_sheet)
            row, column = divmod(place, self.columns)
            area = (column * self.tile_width, row * self.tile_height, self.tile_width, self.tile_height)
            start = number * self.interval_sec
            end = max(min(start + self.interval_sec, self.duration_sec or math.inf), start + _SHORTEST_CUE_SEC)
            lines += [
                f"{_timestamp(start)} --> {_timestamp(end)}",
                f"{url}/{sheet}.jpg{query}#xywh={','.join(map(str, area))}",
                "",
            ]
        return "\n".join(lines)


_SHORTEST_CUE_SEC: Final = 0.001


def is_artwork_folder(name: str) -> bool:
    """Return whether a job of thumbnailer wrote a folder of this name: its kind, a hyphen and an id."""
    kind, _, job = name.partition("-")
    return kind in set(ArtworkKind) and is_id(job)


def best_width(widths: Sequence[int], wanted: int | None) -> int:
    """Return the smallest of these widths that is as wide as wanted, or else the largest; the smallest by default."""
    return next((width for width in sorted(widths) if width >= (wanted or 0)), max(widths))


def preferred_format(accept: str) -> PictureFormat:
    """Return the format to answer with for a header `Accept` (RFC 9110, section 12.5.1).

    WebP is for those that name it; JPEG is what everything can show.
    """
    qualities: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            qualities[name] = float(quality)
        except ValueError:
            qualities[name] = 0.0
    webp = qualities.get(PictureFormat.WEBP, 0.0)
    jpeg = qualities.get(PictureFormat.JPEG, qualities.get("image/*", qualities.get("*/*", 0.0)))
    return PictureFormat.WEBP if webp > 0 and webp >= jpeg else PictureFormat.JPEG


def matches_etag(if_none_match: str, etag: str) -> bool:
    """Return whether a header `If-None-Match` names an entity tag (RFC 9110, section 13.1.2: weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def _timestamp(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
