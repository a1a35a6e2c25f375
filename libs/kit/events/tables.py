"""The tables of the outbox and the inbox, which every service with a database has beside its own."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table

from kit.db.columns import UtcDateTime

metadata = MetaData()

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("type", String(100), nullable=False),
    Column("source", String(50), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("traceparent", String(100), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
)
is_waiting = outbox.c.sent_at.is_(None)
was_sent = outbox.c.sent_at.is_not(None)
Index("ix_outbox_waiting", outbox.c.not_before, sqlite_where=is_waiting, postgresql_where=is_waiting)
# What was sent long ago is deleted from time to time.
Index("ix_outbox_sent", outbox.c.sent_at, sqlite_where=was_sent, postgresql_where=was_sent)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", String(100), primary_key=True),
    Column("event_id", String(36), primary_key=True),
    Column("received_at", UtcDateTime, nullable=False, index=True),
)
