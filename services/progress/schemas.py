"""Shapes of progress's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, field_validator

from kit.web.schemas import DECIMAL, Page, Schema, View
from services.progress.domain import MAX_FILM_SEC, Report, Video
from services.progress.models import PointEntry
from services.progress.service import Entry, Ledger, LoggedView, MarkedPlace

MAX_SEQ = 2**63 - 1
"""The largest BIGINT."""

MAX_ADJUSTMENT = 1_000_000

Seconds = Annotated[float, DECIMAL, Field(ge=0, le=MAX_FILM_SEC, allow_inf_nan=False)]


class ProgressReport(Schema):
    """The position of a player."""

    position: Seconds | None = Field(description="Seconds from the beginning; null when the player doesn't know.")
    duration: Annotated[float, DECIMAL, Field(gt=0, le=MAX_FILM_SEC, allow_inf_nan=False)]
    # Visible ASCII: databases refuse some other characters.
    session_id: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")] | None = Field(
        None, description="The play session that reports. One that began before the record's newest changes nothing."
    )
    seq: Annotated[int, Field(ge=0, le=MAX_SEQ)] | None = Field(
        None, description="Increases with each report of a session; a lower or equal one changes nothing."
    )

    def to_report(self) -> Report | None:
        """Return the report for the use cases; None without a position."""
        if self.position is None:
            return None
        return Report(self.position, self.duration, self.session_id, self.seq)


class PositionUpdate(Schema):
    """A position that a viewer sets, without a duration."""

    position_sec: Seconds
    completed: bool | None = Field(None, description="Marks as watched or unwatched; the position decides without it.")

    def to_report(self) -> Report:
        """Return the report for the use cases."""
        return Report(self.position_sec, completed=self.completed)


class Saved(View):
    """The response to a report, also to one that changed nothing."""

    success: Literal[True] = True
    progress_percent: int


class ProgressView(View):
    """How far the caller has come in a video."""

    content_id: str = Field(description="The same as `video_id`.")
    video_id: str
    position: float
    duration: float = Field(description="0 while it is unknown.")
    progress_percent: int
    completed: bool
    updated_at: datetime


class WatchedVideoView(View):
    """A video as lists show it."""

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
    duration: float = Field(description="0 while it is unknown.")
    progress_percent: int
    completed: bool
    updated_at: datetime
    video: WatchedVideoView | None = Field(description="null when the video is gone, or catalog can't be reached.")

    @classmethod
    def of(cls, entry: Entry) -> HistoryEntry:
        """Return the line as the API shows it."""
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


MAX_NOTE_CHARS = 1000

Note = Annotated[str, Field(max_length=MAX_NOTE_CHARS, pattern=r"^[^\x00]*$")]


class BookmarkRequest(Schema):
    """A place to mark."""

    video_id: UUID
    position_sec: Seconds
    note: Note = ""


class BookmarkEdit(Schema):
    """New parts of a bookmark; what is left out stays as it is."""

    position_sec: Seconds | None = None
    note: Note | None = None


class BookmarkView(View):
    """A bookmark of the caller."""

    id: str
    video_id: str
    position_sec: float
    note: str
    created_at: datetime
    updated_at: datetime
    video: WatchedVideoView | None = Field(description="null when the video is gone, or catalog can't be reached.")

    @classmethod
    def of(cls, place: MarkedPlace) -> BookmarkView:
        """Return the bookmark as the API shows it."""
        mark = place.bookmark
        return cls(
            id=mark.id,
            video_id=mark.video_id,
            position_sec=mark.position_sec,
            note=mark.note,
            created_at=mark.created_at,
            updated_at=mark.updated_at,
            video=_video_view(place.video) if place.video else None,
        )


class PointEntryView(View):
    """A line of a ledger."""

    number: int = Field(description="1, 2, 3 … of each user.")
    kind: Literal["view", "adjustment"]
    points: int = Field(description="Negative if points were taken away.")
    balance: int = Field(description="After this line.")
    video_id: str | None = Field(description="Set for a view.")
    reason: str | None = Field(description="Set for an adjustment.")
    created_at: datetime

    @classmethod
    def of(cls, entry: PointEntry) -> PointEntryView:
        """Return the line as its owner reads it."""
        return cls(kind="view" if entry.reason is None else "adjustment", **_entry_fields(entry))


class LedgerView(Page[PointEntryView]):
    """A page of the caller's ledger, newest first."""

    balance: int = Field(description="The sum of all lines, those on other pages included.")

    @classmethod
    def of(cls, ledger: Ledger, page: int, page_size: int) -> LedgerView:
        """Return the page as its owner reads it."""
        items = [PointEntryView.of(entry) for entry in ledger.entries]
        return cls(items=items, page=page, page_size=page_size, total=ledger.total, balance=ledger.balance)


class AuditedPointEntryView(PointEntryView):
    """A line of a ledger, with the administrator who made it."""

    adjusted_by: str | None = Field(description="The administrator, for an adjustment.")

    @classmethod
    def of(cls, entry: PointEntry) -> AuditedPointEntryView:
        """Return the line as administrators read it."""
        kind: Literal["view", "adjustment"] = "view" if entry.reason is None else "adjustment"
        return cls(kind=kind, adjusted_by=entry.adjusted_by, **_entry_fields(entry))


class AuditedLedgerView(Page[AuditedPointEntryView]):
    """A page of a user's ledger, newest first."""

    balance: int = Field(description="The sum of all lines, those on other pages included.")

    @classmethod
    def of(cls, ledger: Ledger, page: int, page_size: int) -> AuditedLedgerView:
        """Return the page as administrators read it."""
        items = [AuditedPointEntryView.of(entry) for entry in ledger.entries]
        return cls(items=items, page=page, page_size=page_size, total=ledger.total, balance=ledger.balance)


class Adjustment(Schema):
    """Points that an administrator adds or takes away."""

    points: Annotated[int, Field(ge=-MAX_ADJUSTMENT, le=MAX_ADJUSTMENT, description="Negative to take away; not 0.")]
    # Printable: databases refuse some other characters, and it is shown on one line.
    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] = Field(
        description="Shown to the user, too."
    )

    @field_validator("points")
    @classmethod
    def _changes_something(cls, points: int) -> int:
        if points == 0:
            raise ValueError("must not be 0")
        return points


class LoggedViewView(View):
    """A play session in the view log."""

    session_id: str
    user_id: str
    login_id: str | None = Field(description="null when the account is gone, or auth can't be reached.")
    video_id: str
    video_title: str | None = Field(description="null when the video is gone, or catalog can't be reached.")
    source: str = Field(description="The tier that the bytes came from: `ssd`, `nas` or `remote`.")
    started_at: datetime
    stopped_at: datetime | None = Field(description="null while it is running, like `seconds` and `bytes`.")
    seconds: float | None
    bytes: int | None = Field(description="Body bytes sent.")
    end_reason: str | None = Field(
        description="`ended`, `replaced`, `stopped`, `admin`, `revoked`, `expired`, or `lost`: its end is not known, "
        "and nothing was heard of it for a day."
    )

    @classmethod
    def of(cls, logged: LoggedView) -> LoggedViewView:
        """Return the line as the API shows it."""
        view = logged.view
        return cls(
            session_id=view.session_id,
            user_id=view.user_id,
            login_id=logged.login_id,
            video_id=view.video_id,
            video_title=logged.title,
            source=view.source,
            started_at=view.started_at,
            stopped_at=view.stopped_at,
            seconds=view.seconds,
            bytes=view.bytes,
            end_reason=view.end_reason,
        )

    def cells(self) -> list[str | float | None]:
        """Return the values as a row of a table, in the order of the fields."""
        return [value.isoformat() if isinstance(value, datetime) else value for _, value in self]


def _entry_fields(entry: PointEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in PointEntryView.model_fields if name != "kind"}


def _video_view(video: Video) -> WatchedVideoView:
    return WatchedVideoView(
        id=video.id,
        title=video.title,
        duration_sec=video.duration_sec,
        thumbnail_url=video.thumbnail_url or None,
        status=video.status,
    )
