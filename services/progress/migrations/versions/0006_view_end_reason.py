"""Why play sessions ended, and an index for finding those that never did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column, which is unknown of earlier sessions, and create the index."""
    op.add_column("view_log", sa.Column("end_reason", sa.String(20), nullable=True))
    running = sa.text("stopped_at IS NULL")
    op.create_index("ix_view_log_running", "view_log", ["started_at"], sqlite_where=running, postgresql_where=running)
