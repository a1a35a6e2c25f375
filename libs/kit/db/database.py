"""Databases: SQLite in embedded mode, PostgreSQL elsewhere, one interface.

A use case is one transaction. It opens it with `Database.read()` or `Database.write()`; the commit happens where the
block ends, and only there (docs/adr/0003). Slow work (a password hash, a call to another service) stays outside
the block: SQLite has one writer at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Executable, event, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from kit.db.failures import DatabaseUnavailableError, unavailable
from kit.db.postgres import CONNECT_ARGUMENTS, ServerSilentError, SilenceMonitor
from kit.db.room import Room
from kit.db.sqlite import connector
from kit.errors import ErrorCode
from kit.events.envelope import Event
from kit.events.inbox import first_deliveries
from kit.events.outbox import outbox, store, to_row
from kit.health import Check
from kit.settings import SettingsError
from kit.telemetry import DATABASE_FAILURES

log = structlog.get_logger()

BUSY_TIMEOUT_SEC = 15
"""Seconds that SQLite waits for a lock which another process holds."""
POOL_SIZE = 10
POOL_OVERFLOW = 10
"""Connections to PostgreSQL beyond `POOL_SIZE`, closed after use."""
POOL_TIMEOUT_SEC = 10
"""Seconds that a use case waits for a connection while others hold them all."""


_MAINTENANCE = """
PRAGMA analysis_limit = 1000;
PRAGMA optimize;
PRAGMA incremental_vacuum(10000);
"""
"""Statistics from 1000 entries of each index, and at most 40 MB of free pages at a time."""


class Transaction:
    """Everything that is committed together: rows, the events about them, and the marks of consumed events."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._events: list[dict[str, Any]] = []

    @property
    def recorded(self) -> bool:
        """Return whether there are events in it."""
        return bool(self._events)

    async def record(self, *events: Event) -> None:
        """Take events to be written into the outbox at the end; the relay publishes them after the commit.

        Raises:
            UnregisteredEventError: there is no such type of event.
        """
        self._events += map(to_row, events)

    async def complete(self) -> None:
        """Write the events, all in one statement. `Database.write` does this before it commits."""
        if self._events:
            await store(self.session, self._events)

    async def first_deliveries(self, consumer: str, events: Sequence[Event]) -> list[Event]:
        """Return the events that `consumer` has not handled yet, each once; a commit marks them as handled."""
        by_id = {event_.id: event_ for event_ in events}
        new = await first_deliveries(self.session, consumer, by_id)
        return [event_ for id_, event_ in by_id.items() if id_ in new]


class Database:
    """A pool of connections to one service's database."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._on_recorded: list[Callable[[], None]] = []
        self._silence: SilenceMonitor | None = None
        self._name = Path(self.url.database or "").stem
        has_file = self.is_sqlite and self.url.database not in {None, "", ":memory:"}
        self._room = Room(self._name, Path(str(self.url.database)).absolute() if has_file else None)
        if self.is_sqlite:
            self._reader = _sqlite_engine(url, "BEGIN", pool_size=4)
            # One connection writes, so writers of this process queue here, in order, instead of polling a locked file.
            self._writer = _sqlite_engine(url, "BEGIN IMMEDIATE", pool_size=1)
            self._looker = self._reader
        else:
            self._silence = SilenceMonitor()
            self._reader = self._writer = create_async_engine(
                url,
                pool_size=POOL_SIZE,
                max_overflow=POOL_OVERFLOW,
                pool_pre_ping=True,
                pool_timeout=POOL_TIMEOUT_SEC,
                connect_args={"async_creator_fn": self._silence.connect, **CONNECT_ARGUMENTS},
            )
            self._looker = self._reader.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def engine(self) -> AsyncEngine:
        """Return the engine that writes: for migrations and tests."""
        return self._writer

    @property
    def reader(self) -> AsyncEngine:
        """Return the engine that reads: for tests."""
        return self._reader

    def on_recorded(self, callback: Callable[[], None]) -> None:
        """Register a callback for after each commit that left events in the outbox."""
        self._on_recorded.append(callback)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session with a consistent snapshot; writing in it is an error.

        Raises:
            DatabaseUnavailableError: the database is away, or busy for too long.
        """
        async with self._translated(), AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as session:
            if not self.is_sqlite:
                options = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
                await session.connection(execution_options=options)
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Open a transaction that is committed at the end of the block, or rolled back when it raises.

        Raises:
            DatabaseUnavailableError: the database is away, full, or busy for too long. Lost during the commit itself,
                the transaction may have been committed.
        """
        async with self._translated(), AsyncSession(self._writer, expire_on_commit=False) as session:
            transaction = Transaction(session)
            async with session.begin():
                yield transaction
                await transaction.complete()
        self._room.succeeded()
        if transaction.recorded:
            for callback in self._on_recorded:
                callback()

    async def look(self, statement: Executable) -> Any:
        """Return the first value that a statement reads: a loop's look, which costs less than a transaction.

        Raises:
            DatabaseUnavailableError: the database is away, or busy for too long.
        """
        async with self._translated(), self._looker.connect() as connection:
            return await connection.scalar(statement)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Raise the errors that a client may wait out as what they are answered with."""
        try:
            with self._watched():
                yield
        except (SQLAlchemyError, ServerSilentError) as error:
            failure = unavailable(error)
            if failure is None:
                raise
            if failure.code is ErrorCode.STORAGE_FULL or self._room.lacks():
                # SQLite has several words for it, such as an I/O error of the file that it shares with other processes.
                failure = DatabaseUnavailableError(ErrorCode.STORAGE_FULL, failure.reason)
                self._room.failed()
            DATABASE_FAILURES.labels(self._name, failure.code).inc()
            log.warning("database_unavailable", code=failure.code, reason=failure.reason)
            raise failure from error

    def _watched(self) -> AbstractContextManager[None]:
        return self._silence.watch() if self._silence else nullcontext()

    async def ping(self) -> None:
        """Run a trivial query; raise what the driver raises."""
        with self._watched():
            async with self._reader.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def check_room(self) -> None:
        """Raise DiskFullError while the disk is full, so that nothing can be written."""
        self._room.check()

    def checks(self, *, required: bool = True) -> dict[str, Check]:
        """Return the checks of a service's health; a full disk never makes it unready, as reading goes on.

        Args:
            required: whether requests need the database.
        """
        return {"database": Check(self.ping, required=required), "disk": Check(self.check_room, required=False)}

    async def maintain(self) -> None:
        """Renew SQLite's statistics where they are old, and return pages of removed rows to the file system.

        Both take few milliseconds: statistics are made of a sample, and pages are returned some at a time. PostgreSQL
        does the like by itself.
        """
        if self.is_sqlite:
            async with self._writer.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                # As a script: a plain execution would return one page, because it takes one step.
                await driver.executescript(_MAINTENANCE)

    async def require_migrated(self) -> None:
        """Check that the database can be used: the first step of a service's start.

        Raises:
            SettingsError: it can't be reached, or has no tables.
        """
        try:
            async with self.read() as session:
                await session.execute(select(outbox.c.id).limit(1))
        except (SQLAlchemyError, DatabaseUnavailableError) as error:
            place = self.url.render_as_string(hide_password=True)
            reason = error.reason if isinstance(error, DatabaseUnavailableError) else _first_line(error)
            raise SettingsError(
                f"The database {place} can't be used ({reason}); see that it is up, and run this service's migrate."
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._silence:
            await self._silence.close()
        await self._reader.dispose()
        await self._writer.dispose()


def _first_line(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _sqlite_engine(url: str, begin: str, *, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SEC,
        async_creator=connector(make_url(url).database or ":memory:", BUSY_TIMEOUT_SEC),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
        # Left alone, the driver begins transactions late and deferred, which loses concurrent updates.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: a 201 for an upload must outlive a power cut, not only the process.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if begin == "BEGIN":
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
