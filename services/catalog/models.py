"""Tables of catalog."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    Double,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    delete,
    event,
    insert,
    inspect,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column, relationship, validates

from kit.db.columns import UtcDateTime
from services.catalog.domain import AssetKind, search_key

THUMBNAIL = "thumbnail"
"""A kind of artwork."""


_EXISTS = text("deleted_at IS NULL")
_TRASHED = text("deleted_at IS NOT NULL")


class Base(DeclarativeBase):
    """The metadata of catalog's tables."""


class Video(Base):
    """A video."""

    __tablename__ = "videos"
    __table_args__ = (
        Index("ix_videos_status", "status", "id"),
        Index("ix_videos_series", "series_id", "season", "episode", "id"),
        # Partial ones: SQLite takes `deleted_at IS NULL` for selective, and would read all films by an index of it.
        Index("ix_videos_list_owner", "corporation_id", "status", "id", sqlite_where=_EXISTS, postgresql_where=_EXISTS),
        Index("ix_videos_list_trash", "deleted_at", "id", sqlite_where=_TRASHED, postgresql_where=_TRASHED),
    )

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
    series_id: Mapped[str | None] = mapped_column(ForeignKey("series.id"))
    season: Mapped[int | None] = mapped_column()
    episode: Mapped[int | None] = mapped_column()

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
    __table_args__ = (Index("ux_video_files_reference", "reference", unique=True),)

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


class VideoTag(Base):
    """A tag of a video, for lists of one tag: a copy of `Video.tags`."""

    __tablename__ = "video_tags"
    __table_args__ = (Index("ix_video_tags_video_id", "video_id"),)

    tag: Mapped[str] = mapped_column(String(40), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)


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


@event.listens_for(Video, "after_insert")
def _index_tags(_mapper: Mapper[Video], connection: Connection, video: Video) -> None:
    if video.tags:
        connection.execute(insert(VideoTag), [{"video_id": video.id, "tag": tag} for tag in video.tags])


@event.listens_for(Video, "after_update")
def _reindex_tags(mapper: Mapper[Video], connection: Connection, video: Video) -> None:
    if inspect(video).attrs.tags.history.has_changes():
        connection.execute(delete(VideoTag).where(VideoTag.video_id == video.id))
        _index_tags(mapper, connection, video)
