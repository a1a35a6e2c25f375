"""The view log, points, and who was erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "viewers",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("erased_at", moment),
    )
    op.create_table(
        "view_log",
        sa.Column("session_id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("video_id", sa.String(36), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("begun", sa.Boolean, nullable=False),
        sa.Column("stopped_at", moment),
        sa.Column("seconds", sa.Double),
        sa.Column("bytes", sa.BigInteger),
    )
    op.create_index("ix_view_log_started", "view_log", ["started_at", "session_id"])
    op.create_index("ix_view_log_user", "view_log", ["user_id", "started_at", "session_id"])
    op.create_index("ix_view_log_video", "view_log", ["video_id", "started_at", "session_id"])
    op.create_table(
        "point_ledger",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("video_id", sa.String(36)),
        sa.Column("reason", sa.String(200)),
        sa.Column("adjusted_by", sa.String(36)),
        sa.Column("created_at", moment, nullable=False),
        sa.UniqueConstraint("user_id", "video_id", name="uq_point_ledger_view"),
        sa.CheckConstraint("(video_id IS NULL) = (reason IS NOT NULL)", name="ck_point_ledger_kind"),
        sa.CheckConstraint("(reason IS NULL) = (adjusted_by IS NULL)", name="ck_point_ledger_adjusted"),
    )
