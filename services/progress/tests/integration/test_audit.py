"""Adjustments of points are sent to the audit log, in the transaction of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from kit.audit import ADMIN_ACTED
from kit.db.database import Database
from kit.errors import ApiError
from kit.events.outbox import outbox
from kit.testing.databases import MigratedDatabases
from kit.testing.servers import PostgresServer
from services.progress.service import Points
from services.progress.tests.fakes import ADMIN, MEMBER, FakeAccounts


class DatabaseContract:
    """What must hold on any database."""

    async def test_only_accepted_adjustment_is_audited(self, database: Database) -> None:
        points = Points(database, FakeAccounts(ann=MEMBER.user_id), per_view=10)
        await points.adjust(MEMBER.user_id, 7, "a prize", by=ADMIN.user_id, address="192.0.2.7")
        with pytest.raises(ApiError):
            await points.adjust(MEMBER.user_id, -8, "too much", by=ADMIN.user_id, address="192.0.2.7")
        (act,) = await acts(database)
        assert act.pop("occurred_at")
        assert json.loads(act.pop("details")) == {"points": 7, "balance": 7, "reason": "a prize"}
        assert act == {
            "actor_id": ADMIN.user_id,
            "action": "points.adjusted",
            "subject_type": "user",
            "subject_id": MEMBER.user_id,
            "address": "192.0.2.7",
        }


async def acts(database: Database) -> list[dict[str, Any]]:
    """What waits for the audit log."""
    async with database.read() as session:
        bodies = await session.scalars(select(outbox.c.body).where(outbox.c.type == ADMIN_ACTED))
        return [json.loads(body) for body in bodies]


class TestSqlite(DatabaseContract):
    """A file."""


class TestPostgres(DatabaseContract):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url
