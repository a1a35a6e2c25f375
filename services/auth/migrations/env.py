"""Alembic's entry point; see kit.db.migrations."""

from kit.db.migrations import environment
from kit.events import outbox
from services.auth.models import Base

environment(Base.metadata, outbox.metadata)
