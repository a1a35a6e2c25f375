"""What search and lists are answered from."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
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
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from services.catalog.models.base import Base

UNMODELLED: Final = ("search_index", "ix_search_documents_terms", "ix_videos_list_")
"""Beginnings of names of tables and indexes that revision 0009 makes differently on each database."""


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
