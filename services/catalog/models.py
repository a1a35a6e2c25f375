"""Tables of catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates
from sqlalchemy.types import TypeEngine

from kit.db.columns import UtcDateTime
from services.catalog.domain import AssetKind, search_key

THUMBNAIL = "thumbnail"
"""A kind of artwork."""
UNMODELLED: Final = ("search_index", "ix_search_documents_terms", "ix_videos_list_")
"""Beginnings of names of tables and indexes that revision 0009 makes differently on each database."""


class Base(DeclarativeBase):
    """The metadata of catalog's tables."""


class Video(Base):
    """A video."""

    __tablename__ = "videos"
    __table_args__ = (Index("ix_videos_status", "status", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    search_key: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """`domain.search_key` of the title; empty when a replica from before revision 0004 wrote the row."""
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
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was put into the trash; None when it is not there."""
    version: Mapped[int] = mapped_column(default=1)

    assets: Mapped[list[Asset]] = relationship(lazy="raise", order_by="Asset.id")
    artworks: Mapped[list[Artwork]] = relationship(lazy="raise")

    @validates("title")
    def _index_title(self, _name: str, title: str) -> str:
        self.search_key = search_key(title)
        return title

    @property
    def thumbnail(self) -> Artwork | None:
        """Its thumbnail; None until it is made."""
        return next((artwork for artwork in self.artworks if artwork.kind == THUMBNAIL), None)

    @property
    def source(self) -> Asset | None:
        """The asset that was brought in; None when its file was removed, because it can never be played."""
        return next((asset for asset in self.assets if asset.kind == AssetKind.SOURCE), None)


class Asset(Base):
    """A file of a video that can be served; of which kind, `domain.AssetKind` says."""

    __tablename__ = "video_files"
    __table_args__ = (
        Index("ux_video_files_reference", "reference", unique=True),
        Index("ix_video_files_codec", "video_codec", "video_id"),
        Index("ix_video_files_height", "height", "video_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20), server_default=text("'source'"))
    """An `AssetKind`; replicas from before revision 0005 write sources only, and leave it out."""
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


class SearchTokens(TypeDecorator[str]):
    """Tokens of letters and digits, separated by spaces: a `tsvector` on PostgreSQL, text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type."""
        return dialect.type_descriptor(postgresql.TSVECTOR() if dialect.name == "postgresql" else Text())


# By code point on both databases, so that a range of keys holds what begins alike.
_ByCodePoint = Text().with_variant(Text(collation="C"), "postgresql")


class SearchDocument(Base):
    """Something that search finds: a video, or a part of one.

    The index of `terms` is one of PostgreSQL (`ix_search_documents_terms`) or a table of SQLite (`search_index`, kept
    by triggers); both are made by revision 0009.
    """

    __tablename__ = "search_documents"
    __table_args__ = (
        UniqueConstraint("kind", "item_id"),
        Index("ix_search_documents_title_key", "title_key"),
        Index("ix_search_documents_video_id", "video_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """`video`; other kinds are found with the video that they belong to."""
    item_id: Mapped[str] = mapped_column(String(36))
    """The id of the thing itself: for a video its own."""
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    """Who may see this video may find the document."""
    position_sec: Mapped[float | None] = mapped_column()
    """Where in the video it begins."""
    title: Mapped[str] = mapped_column(Text)
    title_key: Mapped[str] = mapped_column(_ByCodePoint)
    folded: Mapped[str] = mapped_column(Text)
    initials: Mapped[str] = mapped_column(Text)
    terms: Mapped[str] = mapped_column(SearchTokens)
    views: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class SearchWord(Base):
    """A word of some title, with which words that are typed wrong are compared."""

    __tablename__ = "search_words"
    __table_args__ = (Index("ix_search_words_backwards", "backwards"),)

    word: Mapped[str] = mapped_column(_ByCodePoint, primary_key=True)
    backwards: Mapped[str] = mapped_column(_ByCodePoint)
    """The same from its last letter to its first."""


class VideoTag(Base):
    """A tag of a video, for lists of one tag: a copy of `Video.tags`."""

    __tablename__ = "video_tags"
    __table_args__ = (Index("ix_video_tags_video_id", "video_id"),)

    tag: Mapped[str] = mapped_column(String(40), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
