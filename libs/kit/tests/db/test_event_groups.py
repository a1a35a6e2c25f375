"""Events in groups: each takes effect once, and a defective one fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select

from kit.bus import Subscription
from kit.db.database import Database, Transaction
from kit.db.event_groups import EventGroups, Received
from kit.events import tables
from kit.events.envelope import Event
from kit.telemetry import current
from kit.tests.events.support import an_event

DEADLINE_SEC = 60
SUBSCRIPTION = Subscription("kit.groups", ("points.*",))
metadata = MetaData()
effects = Table("effects", metadata, Column("content", String(40)), Column("trace", String(100)))


class EventGroupsContract:
    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        database = Database(url)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.run_sync(tables.metadata.create_all)
        yield database
        await database.close()

    async def test_each_event_takes_effect_once_however_often_it_comes(self, database: Database) -> None:
        sizes: list[int] = []
        groups = make(database, sizes)
        events = [traced(number) for number in range(5)]
        results = await apply(groups, [*events, *events[:2]])
        assert sizes == [5]
        assert sorted(map(str, results)) == ["None", "None", *sorted(f"applied {event.id}" for event in events)]
        assert await apply(groups, events) == [None] * 5
        assert sorted(await applied(database)) == sorted((event.id, event.traceparent) for event in events)

    async def test_defective_event_fails_alone_and_can_come_again(self, database: Database) -> None:
        groups = make(database, [])
        events = [traced(number) for number in range(3)]
        results = await apply(groups, events, defective=events[1])
        assert [type(each) for each in results] == [str, ArithmeticError, str]
        assert await apply(groups, events) == [None, f"applied {events[1].id}", None]


def make(database: Database, sizes: list[int]) -> EventGroups[bool, str]:
    """Return groups whose effect is a row for each event; one whose content is false is a defect."""

    async def effect(transaction: Transaction, group: Sequence[Received[bool]]) -> list[str]:
        sizes.append(len(group))
        for each in group:
            with each.trace("kit"):
                row = {"content": each.event.id, "trace": current("traceparent")}
            await transaction.session.execute(insert(effects), row)
            if not each.content:
                raise ArithmeticError
        return [f"applied {each.event.id}" for each in group]

    return EventGroups(database, SUBSCRIPTION, effect, service="kit")


def traced(number: int) -> Event:
    return replace(an_event(number), traceparent=f"trace {number}")


async def apply(
    groups: EventGroups[bool, str], events: Sequence[Event], defective: Event | None = None
) -> list[object]:
    async with asyncio.timeout(DEADLINE_SEC):
        deliveries = (groups.apply(event, event is not defective) for event in events)
        return list(await asyncio.gather(*deliveries, return_exceptions=True))


async def applied(database: Database) -> list[tuple[str, str]]:
    async with database.read() as session:
        return [(content, trace) for content, trace in await session.execute(select(effects))]


class TestSqlite(EventGroupsContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(EventGroupsContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
