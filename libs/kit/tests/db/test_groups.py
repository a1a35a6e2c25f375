"""Writes in groups, with a database that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from kit.db.database import Database, Transaction
from kit.db.failures import DatabaseUnavailableError
from kit.db.groups import GroupWriter
from kit.errors import ErrorCode

DEADLINE_SEC = 60


class Applied:
    """Records the groups; an item below zero is a defect."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    async def __call__(self, transaction: Transaction, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        await transaction.session.execute(text("SELECT 1"))
        if any(item < 0 for item in items):
            raise ArithmeticError
        return [item * 2 for item in items]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite+aiosqlite:///{tmp_path / 'groups.db'}")


async def write_all(database: Database, items: Sequence[int], most: int = 200) -> tuple[list[list[int]], list[object]]:
    """Write items at the same time; return the groups and the results."""
    applied = Applied()
    groups = GroupWriter(database, applied, service="kit", most=most)
    async with asyncio.timeout(DEADLINE_SEC):
        results = await asyncio.gather(*(groups.write(item) for item in items), return_exceptions=True)
    await database.close()
    return applied.groups, list(results)


async def test_items_that_wait_are_written_together_in_order(database: Database) -> None:
    assert await write_all(database, [3, 1, 2]) == ([[3, 1, 2]], [6, 2, 4])


async def test_a_group_is_bounded(database: Database) -> None:
    assert await write_all(database, [1, 2, 3, 4, 5], most=2) == ([[1, 2], [3, 4], [5]], [2, 4, 6, 8, 10])


async def test_defective_item_fails_alone(database: Database) -> None:
    groups, results = await write_all(database, [1, -2, 3])
    assert groups == [[1, -2, 3], [1], [-2], [3]]
    assert [type(each) for each in results] == [int, ArithmeticError, int]


async def test_unavailable_database_is_not_tried_again_for_each_item() -> None:
    groups, results = await write_all(Database("sqlite+aiosqlite:////no-such-folder/groups.db"), [1, 2, 3])
    assert groups == [[1, 2, 3]]
    assert [type(each) for each in results] == [DatabaseUnavailableError] * 3


async def test_item_whose_commit_takes_too_long_is_given_up(database: Database) -> None:
    held, groups = asyncio.Event(), list[list[int]]()

    async def apply(_: Transaction, items: Sequence[int]) -> Sequence[int]:
        groups.append(list(items))
        await held.wait()
        return items

    writer = GroupWriter(database, apply, service="kit", wait_sec=0.05)
    results = await asyncio.gather(*(writer.write(item) for item in (1, 2)), return_exceptions=True)
    late = await asyncio.gather(writer.write(3), return_exceptions=True)
    assert [type(each) for each in (*results, *late)] == [DatabaseUnavailableError] * 3
    held.set()
    async with asyncio.timeout(DEADLINE_SEC):
        await writer.close()
    assert groups == [[1, 2]], "the third is not waited for any more"
    await database.close()


async def test_items_tried_alone_end_with_the_first_that_finds_the_database_away(database: Database) -> None:
    calls = 0

    async def apply(_: Transaction, items: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if len(items) > 1:
            raise ArithmeticError
        raise DatabaseUnavailableError(ErrorCode.SERVICE_UNAVAILABLE, "away")

    writer = GroupWriter(database, apply, service="kit")
    results = await asyncio.gather(*(writer.write(item) for item in range(5)), return_exceptions=True)
    assert [type(each) for each in results] == [DatabaseUnavailableError] * 5
    assert calls == 2
    await database.close()


async def test_writing_that_is_cancelled_leaves_no_item_waiting(database: Database) -> None:
    async def apply(_: Transaction, items: Sequence[int]) -> Sequence[int]:
        if 1 in items:
            raise asyncio.CancelledError
        return items

    writer = GroupWriter(database, apply, service="kit", most=1)
    async with asyncio.timeout(DEADLINE_SEC):
        results = await asyncio.gather(*(writer.write(item) for item in (1, 2)), return_exceptions=True)
        assert [type(each) for each in results] == [DatabaseUnavailableError] * 2
        assert await writer.write(3) == 3
        await writer.close()
    await database.close()


async def test_result_that_is_missing_fails_before_the_commit(database: Database) -> None:
    async def apply(_: Transaction, items: Sequence[int]) -> Sequence[int]:
        return items[1:]

    writer = GroupWriter(database, apply, service="kit")
    with pytest.raises(ValueError, match="0 results for 1 items"):
        await writer.write(1)
    await database.close()
