"""Tables of catalog."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates

from kit.db.columns import UtcDateTime
from services.catalog.domain import search_key


class Base(DeclarativeBase):
    """Catalog's metadata."""


class Video(Base):
    """Something to watch."""

    __tablename__ = "videos"
    __table_args__ = (Index("ix_videos_status", "status", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    search_key: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The title as `domain.search_key` has it; empty when a replica of before revision 0004 wrote the row."""
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(20))
    failure_code: Mapped[str | None] = mapped_column(String(50))
    failure_reason: Mapped[str | None] = mapped_column(String(500))
    uploader_id: Mapped[str] = mapped_column(String(36), index=True)
    corporation_id: Mapped[str | None] = mapped_column(String(36), index=True)
    mime_type: Mapped[str] = mapped_column(String(100))
    duration_sec: Mapped[float | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When it was put into the trash, if it is there."""
    version: Mapped[int] = mapped_column(default=1)

    files: Mapped[list[VideoFile]] = relationship(lazy="raise", order_by="VideoFile.id")
    artworks: Mapped[list[Artwork]] = relationship(lazy="raise")

    @validates("title")
    def _index_title(self, _name: str, title: str) -> str:
        self.search_key = search_key(title)
        return title


class VideoFile(Base):
    """A file of a video; several when there are several bit rates."""

    __tablename__ = "video_files"
    __table_args__ = (Index("ux_video_files_reference", "reference", unique=True),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), index=True)
    reference: Mapped[str] = mapped_column(String(2000))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    video_codec: Mapped[str | None] = mapped_column(String(50))
    audio_codec: Mapped[str | None] = mapped_column(String(50))
    width: Mapped[int | None] = mapped_column()
    height: Mapped[int | None] = mapped_column()
    bitrate_bps: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Artwork(Base):
    """A picture of a video."""

    __tablename__ = "artworks"
    __table_args__ = (UniqueConstraint("video_id", "kind"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    reference: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
