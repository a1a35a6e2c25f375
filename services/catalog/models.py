"""Tables of catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    Double,
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
    __table_args__ = (
        Index("ix_videos_status", "status", "id"),
        Index("ix_videos_series", "series_id", "season", "episode", "id"),
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
    duplicate_of: Mapped[str | None] = mapped_column(String(36))
    """The video that had the same bytes when this one arrived; None if none had."""
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
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """SHA-256 of the bytes in hexadecimal; None for imports, and for uploads from before revision 0006."""
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


class ResumableUpload(Base):
    """An upload that may take several requests (tus 1.0.0). The row stays until it expires, also once it is over."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    uploader_id: Mapped[str] = mapped_column(String(36), index=True)
    corporation_id: Mapped[str | None] = mapped_column(String(36), index=True)
    status: Mapped[str] = mapped_column(String(20))
    """`domain.UploadStatus`."""
    length_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """The size of the whole file; None while the client has not declared it."""
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    """The offset: so many bytes are on disk and synced. Equals `length_bytes` only once the upload is over."""
    video_id: Mapped[str] = mapped_column(String(36), unique=True)
    """The id that the video will have."""
    duplicate_of: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    client_metadata: Mapped[str] = mapped_column(Text)
    """`Upload-Metadata` as the client sent it."""
    lease_id: Mapped[str | None] = mapped_column(String(36))
    """The request that may write now; another takes over after `leased_until`."""
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Subtitle(Base):
    """Subtitles of a video, as WebVTT in the media store. A video has one of each `captions.Track`."""

    __tablename__ = "subtitles"
    __table_args__ = (UniqueConstraint("video_id", "track"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    track: Mapped[str] = mapped_column(String(50))
    """`captions.Track.name`: language and flags."""
    language: Mapped[str] = mapped_column(String(50))
    """BCP 47."""
    title: Mapped[str] = mapped_column(String(200))
    """What a menu shows; empty for the language's name."""
    source: Mapped[str] = mapped_column(String(20))
    """A `domain.SubtitleSource`."""
    forced: Mapped[bool] = mapped_column()
    sdh: Mapped[bool] = mapped_column()
    reference: Mapped[str] = mapped_column(String(300))
    """In the media store."""
    encoding: Mapped[str] = mapped_column(String(50))
    """Of the file that they were made from."""
    encoding_confidence: Mapped[float] = mapped_column()
    cues: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImportFile(Base):
    """A film below the folder of imported films, as the last scan saw it."""

    __tablename__ = "import_files"
    __table_args__ = (
        Index("ix_import_files_folder", "folder_key", "id"),
        Index("ix_import_files_state", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """`imports.tree.key` of the path: paths are too long for an index."""
    folder_key: Mapped[str] = mapped_column(String(32))
    """`imports.tree.key` of the folder's path."""
    path: Mapped[str] = mapped_column(Text)
    video_id: Mapped[str | None] = mapped_column(ForeignKey("videos.id", ondelete="SET NULL"), index=True)
    """None when the video was removed for good: the file stays, and is not imported again."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    fingerprint: Mapped[str] = mapped_column(String(32), index=True)
    sidecars: Mapped[str] = mapped_column(String(32))
    """Digest of names, sizes and times of the subtitle files beside it; empty without any."""
    state: Mapped[str] = mapped_column(String(10))
    """A `domain.ImportState`."""


class JobRecord(Base):
    """Bulk work of an administrator: an import of a tree, or processing videos again."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_kind", "kind", "status", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """A `domain.JobKind`."""
    status: Mapped[str] = mapped_column(String(20))
    """A `domain.JobStatus`."""
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    cursor: Mapped[str] = mapped_column(Text)
    """Where it goes on after a stop; its kind says what it means."""
    total: Mapped[int | None] = mapped_column()
    """How much there is to do; None while that is not known."""
    done: Mapped[int] = mapped_column()
    counts: Mapped[dict[str, int]] = mapped_column(JSON)
    """By outcome."""
    error: Mapped[str | None] = mapped_column(String(500))
    actor_id: Mapped[str] = mapped_column(String(36))
    holder: Mapped[str | None] = mapped_column(String(36))
    """The process that works on it."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When another process may take it over."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobResult(Base):
    """What a job did with one file: its report. Files that stayed as they were have none."""

    __tablename__ = "job_results"
    __table_args__ = (Index("ix_job_results_job", "job_id", "outcome", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    outcome: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(Text)
    video_id: Mapped[str | None] = mapped_column(String(36))
    detail: Mapped[str] = mapped_column(String(500))
    """The reason of a failure, or the former path of what was renamed."""


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
