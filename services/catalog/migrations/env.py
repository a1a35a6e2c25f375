"""Alembic's entry; see kit.migrations."""

from kit import outbox
from kit.migrations import environment
from services.catalog.models import Base

environment(Base.metadata, outbox.metadata)
