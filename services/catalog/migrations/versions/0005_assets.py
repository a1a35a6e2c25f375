"""The files of a video are assets, each of a kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. All files so far, and those that replicas of before still write, are sources."""
    op.add_column("video_files", sa.Column("kind", sa.String(20), nullable=False, server_default="source"))
