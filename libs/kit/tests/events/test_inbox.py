"""Events take effect once for each consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kit.db.database import Database
from kit.events import outbox
from kit.tests.events.support import an_event


class InboxContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        database = Database(url)
        async with database.engine.begin() as connection:
            await connection.run_sync(outbox.metadata.create_all)
        yield database
        await database.close()

    async def test_of_many_at_once_one_is_the_first(self, database: Database) -> None:
        event = an_event()

        async def deliver() -> bool:
            async with database.write() as transaction:
                return await transaction.first_deliveries("kit.test", [event]) == [event]

        assert sorted(await asyncio.gather(*(deliver() for _ in range(20)))) == [False] * 19 + [True]

    async def test_each_consumer_has_its_own_first(self, database: Database) -> None:
        event = an_event()
        async with database.write() as transaction:
            assert await transaction.first_deliveries("a", [event]) == [event]
            assert await transaction.first_deliveries("b", [event, event]) == [event]
            assert await transaction.first_deliveries("a", [event]) == []

    async def test_a_delivery_that_failed_does_not_count(self, database: Database) -> None:
        event = an_event()
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the error must pass through the block
            async with database.write() as transaction:
                assert await transaction.first_deliveries("kit.test", [event])
                raise ZeroDivisionError
        async with database.write() as transaction:
            assert await transaction.first_deliveries("kit.test", [event])


class TestSqliteInbox(InboxContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgresInbox(InboxContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
