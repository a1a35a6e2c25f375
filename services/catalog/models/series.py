"""Series, highlights and watchlists."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    Double,
    ForeignKey,
    Index,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kit.db.columns import UtcDateTime
from services.catalog.models.base import Base
from services.catalog.models.videos import Video


class Series(Base):
    """A series: its episodes are the videos that name it."""

    __tablename__ = "series"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    owner_id: Mapped[str] = mapped_column(String(36), index=True)
    """The user who made it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)


class Highlight(Base):
    """A stretch of a video worth jumping to, such as a hand of a poker game."""

    __tablename__ = "highlights"
    __table_args__ = (
        Index("ix_highlights_video", "video_id", "start_sec", "id"),
        Index("ix_highlights_pot", "pot_size", "id"),
        Index("ix_highlights_category_pot", "category", "pot_size", "id"),
        Index("ix_highlights_category", "category", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    start_sec: Mapped[float] = mapped_column(Double)
    end_sec: Mapped[float] = mapped_column(Double)
    category: Mapped[str] = mapped_column(String(50))
    """Empty for none, like the title."""
    title: Mapped[str] = mapped_column(String(200))
    players: Mapped[list[str]] = mapped_column(JSON)
    pot_size: Mapped[float] = mapped_column(Double)
    """0 where none is known, so that lists sort alike on every database."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    video: Mapped[Video] = relationship(lazy="raise")


class HighlightPlayer(Base):
    """A player of a highlight, by the folded name."""

    __tablename__ = "highlight_players"
    __table_args__ = (Index("ix_highlight_players_key", "player_key", "highlight_id"),)

    highlight_id: Mapped[str] = mapped_column(ForeignKey("highlights.id", ondelete="CASCADE"), primary_key=True)
    player_key: Mapped[str] = mapped_column(String(200), primary_key=True)


class WatchlistUser(Base):
    """A user with a watchlist; changes of it are serialised by a lock on this row."""

    __tablename__ = "watchlist_users"

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the account was deleted: a token may outlive it by seconds."""


class WatchlistItem(Base):
    """A video that a user wants to watch later."""

    __tablename__ = "watchlist"
    __table_args__ = (
        Index("ix_watchlist_added", "user_id", "added_at", "video_id"),
        Index("ix_watchlist_video", "video_id"),
    )

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
