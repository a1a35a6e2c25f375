"""A PostgreSQL that accepts connections and answers nothing, as a frozen one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kit.db import postgres
from kit.db.database import Database
from kit.db.failures import DatabaseUnavailableError
from kit.db.postgres import ServerSilentError
from kit.errors import ErrorCode
from kit.tests.conftest import Link

PATIENT_SEC = 60


@pytest.fixture
async def database(linked_postgres_url: str) -> AsyncIterator[Database]:
    database = Database(linked_postgres_url)
    await database.ping()
    yield database
    await database.close()


async def read(database: Database, statement: str = "SELECT 1") -> int:
    async with database.read() as session:
        return int((await session.execute(text(statement))).scalar_one())


async def write(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.session.execute(text("SELECT 1"))


async def fails(use: Awaitable[object]) -> DatabaseUnavailableError:
    async with asyncio.timeout(PATIENT_SEC):
        with pytest.raises(DatabaseUnavailableError) as caught:
            await use
    return caught.value


async def answers_again(database: Database) -> None:
    async with asyncio.timeout(PATIENT_SEC):
        while True:
            try:
                assert await read(database) == 1
            except DatabaseUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_uses_of_a_silent_server_fail_and_recover(database: Database, postgres_link: Link) -> None:
    await asyncio.gather(*(read(database) for _ in range(3)))
    postgres_link.freeze()
    errors = await asyncio.gather(*(fails(use) for use in (read(database), write(database), read(database))))
    assert {each.code for each in errors} == {ErrorCode.SERVICE_UNAVAILABLE}
    assert all(each.details == {"dependency": "database"} and each.headers["Retry-After"] for each in errors)
    # Known by now: nothing waits any more.
    assert isinstance((await fails(read(database))).__cause__, ServerSilentError)
    with pytest.raises(ServerSilentError):
        await database.ping()
    postgres_link.thaw()
    await answers_again(database)
    await database.ping()


async def test_statement_in_progress_ends_when_server_falls_silent(database: Database, postgres_link: Link) -> None:
    running = asyncio.create_task(fails(read(database, "SELECT 1 FROM pg_sleep(600)")))
    async with asyncio.timeout(PATIENT_SEC):
        while not await read(database, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    postgres_link.freeze()
    assert (await running).code == ErrorCode.SERVICE_UNAVAILABLE
    postgres_link.thaw()
    await answers_again(database)


async def test_use_that_waits_for_the_pool_ends_when_server_falls_silent(
    linked_postgres_url: str, postgres_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.db.database.POOL_SIZE", 1)
    monkeypatch.setattr("kit.db.database.POOL_OVERFLOW", 0)
    monkeypatch.setattr("kit.db.database.POOL_TIMEOUT_SEC", 600)
    database = Database(linked_postgres_url)
    await database.ping()
    postgres_link.freeze()
    await asyncio.gather(*(fails(write(database)) for _ in range(4)))
    await database.close()


async def test_slow_statement_of_a_server_that_answers_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE_SEC", 0.01)
    monkeypatch.setattr(postgres, "PROBE_AGAIN_SEC", 0.01)
    monkeypatch.setattr(postgres, "PROBE_SEC", PATIENT_SEC)
    assert await read(database, "SELECT 1 FROM pg_sleep(0.3)") == 1


async def test_server_that_falls_silent_while_connecting(linked_postgres_url: str, postgres_link: Link) -> None:
    database = Database(linked_postgres_url)
    postgres_link.freeze()
    await fails(read(database))
    postgres_link.thaw()
    await answers_again(database)
    await database.close()


async def test_waits_for_a_lock_only_for_so_long(linked_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres.CONNECT_ARGUMENTS, "options", "-c lock_timeout=20ms")
    database = Database(linked_postgres_url)
    lock = text("SELECT pg_advisory_xact_lock(7)")
    async with database.write() as holder:
        await holder.session.execute(lock)

        async def wait() -> None:
            async with database.write() as transaction:
                await transaction.session.execute(lock)

        assert (await fails(wait())).code == ErrorCode.SERVICE_UNAVAILABLE
    await database.close()


async def test_server_ends_transactions_of_silent_clients(
    linked_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.CONNECT_ARGUMENTS, "options", "-c idle_in_transaction_session_timeout=20ms")
    database = Database(linked_postgres_url)

    async def fall_asleep() -> None:
        async with database.write() as transaction:
            await transaction.session.execute(text("SELECT 1"))
            while True:
                await asyncio.sleep(0.05)
                await transaction.session.execute(text("SELECT 1"))

    assert (await fails(fall_asleep())).code == ErrorCode.SERVICE_UNAVAILABLE
    await database.close()


async def test_limits_of_connections_are_valid(database: Database) -> None:
    async with database.read() as session:
        for name, seconds in (
            ("lock_timeout", postgres.LOCK_TIMEOUT_SEC),
            ("idle_in_transaction_session_timeout", postgres.IDLE_TRANSACTION_SEC),
        ):
            assert (await session.execute(text(f"SHOW {name}"))).scalar_one() == f"{seconds}s"


async def test_wrong_statement_on_a_linked_server_stays_a_defect(database: Database) -> None:
    with pytest.raises(DBAPIError):
        await read(database, "SELECT nothing FROM nowhere")
