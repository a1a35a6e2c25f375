"""Tables of progress."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Double, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, mapped_column

from kit.columns import UtcDateTime
from services.progress.domain import Progress


class Base(DeclarativeBase):
    """Progress's metadata."""


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
