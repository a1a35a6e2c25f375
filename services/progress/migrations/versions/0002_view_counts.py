"""Views by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "view_counts",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("video_id", sa.String(36), primary_key=True),
        sa.Column("views", sa.BigInteger, nullable=False),
    )
