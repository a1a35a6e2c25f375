"""Search and lists: documents and their index, words, tags. Rows of before are indexed by the running service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and their indexes."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    by_code_point = sa.Text() if is_sqlite else sa.Text(collation="C")
    op.create_table(
        "search_documents",
        sa.Column("id", sa.Integer() if is_sqlite else sa.BigInteger(), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("item_id", sa.String(36), nullable=False),
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
        sa.Column("position_sec", sa.Float),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_key", by_code_point, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("initials", sa.Text, nullable=False),
        sa.Column("terms", sa.Text() if is_sqlite else postgresql.TSVECTOR(), nullable=False),
        sa.Column("views", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.UniqueConstraint("kind", "item_id"),
    )
    op.create_index("ix_search_documents_title_key", "search_documents", ["title_key"])
    op.create_index("ix_search_documents_video_id", "search_documents", ["video_id"])
    op.create_table(
        "search_words",
        sa.Column("word", by_code_point, primary_key=True),
        sa.Column("backwards", by_code_point, nullable=False),
    )
    op.create_index("ix_search_words_backwards", "search_words", ["backwards"])
    op.create_table(
        "video_tags",
        sa.Column("tag", sa.String(40), primary_key=True),
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_video_tags_video_id", "video_tags", ["video_id"])
    op.create_index("ix_video_files_codec", "video_files", ["video_codec", "video_id"])
    op.create_index("ix_video_files_height", "video_files", ["height", "video_id"])
    _index_lists('title COLLATE "C"' if not is_sqlite else "title")
    if is_sqlite:
        _index_on_sqlite()
    else:
        # Without a pending list: searches would read it from end to end.
        op.execute(
            "CREATE INDEX ix_search_documents_terms ON search_documents USING gin (terms) WITH (fastupdate = off)"
        )


def _index_lists(title: str) -> None:
    """Make an index for each order of what members and administrators see.

    Partial ones: SQLite takes `deleted_at IS NULL` for selective, and would read a list by an index of that column.
    """
    op.execute("DROP INDEX IF EXISTS ix_videos_deleted_at")
    op.execute("CREATE INDEX ix_videos_list_trash ON videos (deleted_at, id) WHERE deleted_at IS NOT NULL")
    for name, columns in (
        ("owner", "corporation_id, status, id"),
        ("owner_title", f"corporation_id, status, {title}, id"),
        ("owner_duration", "corporation_id, status, duration_sec, id"),
        ("title", f"{title}, id"),
        ("duration", "duration_sec, id"),
        ("uploader", "uploader_id, status, id"),
    ):
        op.execute(f"CREATE INDEX ix_videos_list_{name} ON videos ({columns}) WHERE deleted_at IS NULL")


def _index_on_sqlite() -> None:
    # Only which row holds which token is asked: no positions and no second copy of the text.
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(terms, content='', detail=none, "
        "tokenize=\"unicode61 remove_diacritics 0 categories 'L* N* Co M*'\")"
    )
    # Foreign keys delete rows as well, so triggers keep the index.
    add = "INSERT INTO search_index (rowid, terms) VALUES (new.id, new.terms);"
    remove = "INSERT INTO search_index (search_index, rowid, terms) VALUES ('delete', old.id, old.terms);"
    op.execute(f"CREATE TRIGGER search_documents_added AFTER INSERT ON search_documents BEGIN {add} END")
    op.execute(f"CREATE TRIGGER search_documents_removed AFTER DELETE ON search_documents BEGIN {remove} END")
    op.execute(
        "CREATE TRIGGER search_documents_changed AFTER UPDATE OF terms ON search_documents "
        f"WHEN old.terms <> new.terms BEGIN {remove} {add} END"
    )
