"""Films can be protected: they are served as an LSV pack."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns. Replicas of before leave them out, and protect nothing."""
    for table in ("videos", "uploads"):
        op.add_column(table, sa.Column("protection", sa.String(10), nullable=False, server_default=sa.text("''")))
    op.add_column("videos", sa.Column("pack_asset_id", sa.String(36), nullable=True))
