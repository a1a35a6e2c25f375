"""Add the administration of accounts: search, rights, resets, corporations, audit, alerts."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns to accounts, and create the new tables."""
    moment = sa.DateTime(timezone=True)
    op.add_column("users", sa.Column("search_text", sa.Text, nullable=False, server_default=""))
    op.add_column("users", sa.Column("claims_version", sa.Integer, nullable=False, server_default="1"))
    op.add_column("users", sa.Column("password_version", sa.Integer, nullable=False, server_default="1"))
    op.create_index("ix_users_corporation_id", "users", ["corporation_id"])
    _fill_search_text()
    op.create_table(
        "account_changes",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("claims_version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
    )
    op.create_index("ix_account_changes_changed_at", "account_changes", ["changed_at"])
    op.create_table(
        "password_resets",
        sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("code_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("expires_at", moment, nullable=False),
    )
    op.create_table(
        "corporations",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.String(200), nullable=False, unique=True),
        sa.Column("plan", sa.String(20), nullable=False),
        sa.Column("plan_expires_at", moment),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_corporations_plan", "corporations", ["plan", "plan_expires_at"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("at", moment, nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("actor_id", sa.String(36)),
        sa.Column("target_kind", sa.String(20), nullable=False),
        sa.Column("target_id", sa.String(36)),
        sa.Column("client_address", sa.String(64), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_index("ix_audit_log_action", "audit_log", ["action", "at"])
    op.create_index("ix_audit_log_actor_id", "audit_log", ["actor_id"])
    op.create_index("ix_audit_log_target_id", "audit_log", ["target_id"])
    op.create_table(
        "alerts",
        sa.Column("kind", sa.String(50), primary_key=True),
        sa.Column("raised_at", moment, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", moment),
    )


def _fill_search_text() -> None:
    users = sa.table(
        "users", sa.column("id"), sa.column("login_id"), sa.column("display_name"), sa.column("search_text")
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(users.c.id, users.c.login_id, users.c.display_name)).all():
        text = f"{_folded(row.login_id)}\n{_folded(row.display_name)}"
        connection.execute(sa.update(users).where(users.c.id == row.id).values(search_text=text))


def _folded(text: str) -> str:
    """Fold text as `services.auth.domain.login_key` did when this revision was written."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).strip()
