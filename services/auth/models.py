"""Tables of auth."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kit.db.columns import UtcDateTime


class Base(DeclarativeBase):
    """Metadata of auth's tables."""


class Instance(Base):
    """The identity of this installation; one row."""

    __tablename__ = "instance"

    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(16))
    """Suffix of the names of its cookies."""
    device_key: Mapped[str] = mapped_column(String(64))
    """Signs device cookies; hexadecimal."""


class User(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    login_id: Mapped[str] = mapped_column(String(64))
    login_key: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), index=True)
    corporation_id: Mapped[str | None] = mapped_column(String(36), index=True)
    search_text: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Text that searches match; see `domain.searchable`."""
    claims_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Counts changes of what access tokens contain."""
    password_version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Counts changes of the password; a new hash of the same password does not count."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)


class RefreshToken(Base):
    """One refresh token. A family is all tokens of one login session; only hashes are stored."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("ix_refresh_tokens_family", "family_id", "issued_at"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    family_id: Mapped[str] = mapped_column(String(36))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    replaced_by: Mapped[str | None] = mapped_column(String(64))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    client_address: Mapped[str] = mapped_column(String(64), default="", server_default=text("''"))
    """The address of the client that it was issued to."""
    user_agent: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    """The program that it was issued to, as it names itself (RFC 9110, 10.1.5)."""


class AccountChange(Base):
    """The last change of an account's rights; kept while access tokens from before it may be valid.

    It contains no personal data and outlives the account.
    """

    __tablename__ = "account_changes"

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    claims_version: Mapped[int] = mapped_column(BigInteger)
    """The lowest version that is still valid."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class PasswordReset(Base):
    """A one-time code to choose a new password with; only its hash is stored."""

    __tablename__ = "password_resets"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Corporation(Base):
    """A customer: members see its videos, and its plan decides what they may do."""

    __tablename__ = "corporations"
    # For the search of overdue plans.
    __table_args__ = (Index("ix_corporations_plan", "plan", "plan_expires_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    plan: Mapped[str] = mapped_column(String(20))
    plan_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)


class AuditEntry(Base):
    """An action that is on record."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_action", "action", "at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    action: Mapped[str] = mapped_column(String(50))
    actor_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """The account that did it; None for the system and for unauthenticated clients."""
    target_kind: Mapped[str] = mapped_column(String(20))
    target_id: Mapped[str | None] = mapped_column(String(36), index=True)
    client_address: Mapped[str] = mapped_column(String(64))
    """The client's address; empty for the system and for accounts that were erased."""
    details: Mapped[str] = mapped_column(Text)
    """A JSON object."""


class Alert(Base):
    """The last alert of a kind, and its delivery to the operator's webhook."""

    __tablename__ = "alerts"

    kind: Mapped[str] = mapped_column(String(50), primary_key=True)
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    body: Mapped[str] = mapped_column(Text)
    """A JSON object."""
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None once it is delivered or given up."""
