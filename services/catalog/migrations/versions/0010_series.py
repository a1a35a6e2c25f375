"""Series, highlights and watchlists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and add the columns."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "series",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("owner_id", sa.String(36), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_series_title", "series", ["title"])
    op.create_index("ix_series_owner_id", "series", ["owner_id"])
    # Plain SQL, which both databases read: Alembic would copy the table on SQLite, and dropping the old one would
    # delete the files of all videos with it (ON DELETE CASCADE).
    op.execute("ALTER TABLE videos ADD COLUMN series_id VARCHAR(36) REFERENCES series (id)")
    op.add_column("videos", sa.Column("season", sa.Integer))
    op.add_column("videos", sa.Column("episode", sa.Integer))
    op.create_index("ix_videos_series", "videos", ["series_id", "season", "episode", "id"])
    _create_highlights(moment)
    op.create_table(
        "watchlist_users",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("erased_at", moment),
    )
    op.create_table(
        "watchlist",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("added_at", moment, nullable=False),
    )
    op.create_index("ix_watchlist_added", "watchlist", ["user_id", "added_at", "video_id"])
    op.create_index("ix_watchlist_video", "watchlist", ["video_id"])


def _create_highlights(moment: sa.DateTime) -> None:
    op.create_table(
        "highlights",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
        sa.Column("start_sec", sa.Double, nullable=False),
        sa.Column("end_sec", sa.Double, nullable=False),
        sa.Column("category", sa.String(50), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("players", sa.JSON, nullable=False),
        sa.Column("pot_size", sa.Double, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
    )
    op.create_index("ix_highlights_video", "highlights", ["video_id", "start_sec", "id"])
    op.create_index("ix_highlights_pot", "highlights", ["pot_size", "id"])
    op.create_index("ix_highlights_category_pot", "highlights", ["category", "pot_size", "id"])
    op.create_index("ix_highlights_category", "highlights", ["category", "id"])
    highlight = sa.ForeignKey("highlights.id", ondelete="CASCADE")
    op.create_table(
        "highlight_players",
        sa.Column("highlight_id", sa.String(36), highlight, primary_key=True),
        sa.Column("player_key", sa.String(200), primary_key=True),
    )
    op.create_index("ix_highlight_players_key", "highlight_players", ["player_key", "highlight_id"])
