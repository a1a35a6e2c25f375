"""Devices and refused requests of a viewer make the watermark stronger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from kit.db.database import Database
from kit.ids import new_id
from services.stream.models import SeenDevice
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.viewers import FAILURES_FOR_SEC, Viewers

OLD_ACCOUNT = str(UUID("018f6e2a-0000-7000-8000-0000000000c0"))


async def names(ids: object) -> dict[str, str]:
    return {OLD_ACCOUNT: "Kim"}


class Clock:
    """Seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def viewers(database: Database, clock: Clock) -> Viewers:
    return Viewers(ContentKeys(database, None), names, clock)


async def opacity(viewers: Viewers, device: str = "laptop", *, is_offline: bool = False) -> float:
    return (await viewers.mark(OLD_ACCOUNT, device, is_offline=is_offline)).opacity


async def test_device_is_new_once(viewers: Viewers) -> None:
    first = await opacity(viewers)
    assert await opacity(viewers) < first
    assert await opacity(viewers, "phone") == first


async def test_failures_count_for_an_hour(viewers: Viewers, clock: Clock) -> None:
    await opacity(viewers)
    calm = await opacity(viewers)
    viewers.record_failure(OLD_ACCOUNT)
    assert await opacity(viewers) > calm
    clock.now += FAILURES_FOR_SEC
    assert await opacity(viewers) == calm


async def test_offline_and_young_accounts_are_marked_stronger(viewers: Viewers) -> None:
    await opacity(viewers)
    assert await opacity(viewers, is_offline=True) > await opacity(viewers)
    young = new_id()
    await viewers.mark(young, "laptop", is_offline=False)
    assert (await viewers.mark(young, "laptop", is_offline=False)).opacity > await opacity(viewers)


async def test_device_counts_while_it_is_in_use_and_is_forgotten_after_a_year(
    viewers: Viewers, database: Database
) -> None:
    for number in range(8):
        await opacity(viewers, f"device {number}")
    many = await opacity(viewers, "device 0")
    await seen_ago(database, timedelta(days=31))
    few = await opacity(viewers, "device 0")
    assert few < many
    await seen_ago(database, timedelta(days=366))
    async with database.write() as transaction:
        await Viewers.prune(transaction, datetime.now(UTC))
    assert await opacity(viewers, "device 0") > few


async def seen_ago(database: Database, ago: timedelta) -> None:
    async with database.write() as transaction:
        await transaction.session.execute(update(SeenDevice).values(last_seen_at=datetime.now(UTC) - ago))
