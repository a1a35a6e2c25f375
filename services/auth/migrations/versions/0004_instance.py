"""Add the identity of the installation, from which the names of its cookies are made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the first start fills it in."""
    op.create_table(
        "instance",
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("device_key", sa.String(64), nullable=False),
    )
