"""Tables of progress."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Double, Index, String, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, mapped_column

from kit.db.columns import UtcDateTime
from services.progress.domain import Progress


class Base(DeclarativeBase):
    """Metadata of progress's tables."""


class WatchProgress(Base):
    """How far one viewer has come in one video."""

    __tablename__ = "watch_progress"
    # Read backwards for the history, newest first.
    __table_args__ = (Index("ix_watch_progress_history", "user_id", "updated_at", "video_id"),)

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    position_sec: Mapped[float] = mapped_column(Double)
    duration_sec: Mapped[float] = mapped_column(Double)
    completed: Mapped[bool]
    session_id: Mapped[str | None] = mapped_column(String(64))
    session_started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seq: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    progress: Mapped[Progress] = composite(
        "position_sec", "duration_sec", "completed", "session_id", "session_started_at", "seq"
    )


class ViewCount(Base):
    """How many play sessions of a video began on one day."""

    __tablename__ = "view_counts"

    day: Mapped[date] = mapped_column(primary_key=True)
    """In UTC."""
    video_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    views: Mapped[int] = mapped_column(BigInteger)


class Viewer(Base):
    """A user with rows in other tables; changes of the user's log and ledger are serialised by a lock on this row."""

    __tablename__ = "viewers"

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the account was deleted: late events must not restore any of its data."""


_RUNNING = text("stopped_at IS NULL")


class View(Base):
    """One play session."""

    __tablename__ = "view_log"
    __table_args__ = (
        Index("ix_view_log_started", "started_at", "session_id"),
        Index("ix_view_log_user", "user_id", "started_at", "session_id"),
        Index("ix_view_log_video", "video_id", "started_at", "session_id"),
        Index("ix_view_log_running", "started_at", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    )

    session_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(36))
    video_id: Mapped[str] = mapped_column(String(36))
    source: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    begun: Mapped[bool]
    """Whether its start event arrived; until then `started_at` is computed from its end and length."""
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None while it is running, like the two columns below."""
    seconds: Mapped[float | None] = mapped_column(Double)
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    end_reason: Mapped[str | None] = mapped_column(String(20))
    """As in `stream.stopped`, or `lost`; None also of sessions that ended before this was kept."""


class PointEntry(Base):
    """A line of a user's ledger: points for the first view of a video, or an adjustment by an administrator."""

    __tablename__ = "point_ledger"
    __table_args__ = (
        UniqueConstraint("user_id", "video_id", name="uq_point_ledger_view"),
        CheckConstraint("(video_id IS NULL) = (reason IS NOT NULL)", name="ck_point_ledger_kind"),
        CheckConstraint("(reason IS NULL) = (adjusted_by IS NULL)", name="ck_point_ledger_adjusted"),
    )

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1, 2, 3 … of each user."""
    points: Mapped[int] = mapped_column(BigInteger)
    """Negative if points were taken away."""
    balance: Mapped[int] = mapped_column(BigInteger)
    """After this line: the sum of `points` so far."""
    video_id: Mapped[str | None] = mapped_column(String(36))
    """Set for a view; None for an adjustment."""
    reason: Mapped[str | None] = mapped_column(String(200))
    """Set for an adjustment, like the administrator below."""
    adjusted_by: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Bookmark(Base):
    """A place in a video that a viewer has marked."""

    __tablename__ = "bookmarks"
    __table_args__ = (
        Index("ix_bookmarks_user", "user_id", "id"),
        Index("ix_bookmarks_user_video", "user_id", "video_id", "position_sec", "id"),
        Index("ix_bookmarks_video", "video_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(36))
    video_id: Mapped[str] = mapped_column(String(36))
    position_sec: Mapped[float] = mapped_column(Double)
    note: Mapped[str] = mapped_column(String(1000))
    """Empty for none."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
