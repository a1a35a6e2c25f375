"""Shapes of progress's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from kit.http import Schema, View
from services.progress.domain import Report, Video
from services.progress.service import Entry

MAX_SEQ = 2**63 - 1
"""What a database keeps."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ProgressReport(Schema):
    """Where a player is."""

    position: Seconds | None = Field(description="Seconds from the beginning; null when the player doesn't know.")
    duration: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    # Visible ASCII: databases refuse some other characters.
    session_id: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")] | None = Field(
        None, description="The play session that reports. One that began before the record's newest changes nothing."
    )
    seq: Annotated[int, Field(ge=0, le=MAX_SEQ)] | None = Field(
        None, description="Grows with each report of a session; a lower or equal one changes nothing."
    )

    def to_report(self) -> Report | None:
        """The same for the use cases; None without a position."""
        if self.position is None:
            return None
        return Report(self.position, self.duration, self.session_id, self.seq)


class PositionUpdate(Schema):
    """Where a viewer wants to be, whatever the duration."""

    position_sec: Seconds
    completed: bool | None = Field(None, description="Marks as watched or unwatched; the position decides without it.")

    def to_report(self) -> Report:
        """The same for the use cases."""
        return Report(self.position_sec, completed=self.completed)


class Saved(View):
    """The answer to a report, also to one that changed nothing."""

    success: Literal[True] = True
    progress_percent: int


class ProgressView(View):
    """How far the caller has come in a video."""

    content_id: str = Field(description="The same as `video_id`.")
    video_id: str
    position: float
    duration: float = Field(description="0 when nobody knows it.")
    progress_percent: int
    completed: bool
    updated_at: datetime


class WatchedVideoView(View):
    """What a list shows of a video."""

    id: str
    title: str
    duration_sec: float
    thumbnail_url: str | None
    status: str


class HistoryEntry(View):
    """A line of the caller's history."""

    video_id: str
    position: float
    last_position_sec: float = Field(description="The same as `position`.")
    duration: float = Field(description="0 when nobody knows it.")
    progress_percent: int
    completed: bool
    updated_at: datetime
    video: WatchedVideoView | None = Field(description="null when the video is gone, or its facts can't be had now.")

    @classmethod
    def of(cls, entry: Entry) -> HistoryEntry:
        """A line as the API shows it."""
        record, video = entry.record, entry.video
        return cls(
            video_id=record.video_id,
            position=record.position_sec,
            last_position_sec=record.position_sec,
            duration=record.duration_sec,
            progress_percent=record.progress.percent,
            completed=record.completed,
            updated_at=record.updated_at,
            video=_video_view(video) if video else None,
        )


def _video_view(video: Video) -> WatchedVideoView:
    return WatchedVideoView(
        id=video.id,
        title=video.title,
        duration_sec=video.duration_sec,
        thumbnail_url=video.thumbnail_url or None,
        status=video.status,
    )
