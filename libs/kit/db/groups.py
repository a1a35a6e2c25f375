"""Group commit: writes that arrive while a transaction is running are committed together by the next one.

A commit costs the same for one change and for a hundred, and most of the processor time of a small change is its
transaction (docs/adr/0034).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from kit.db.database import Database, Transaction
from kit.db.failures import DatabaseUnavailableError
from kit.errors import ErrorCode
from kit.telemetry import service_context

T = TypeVar("T")
R = TypeVar("R")

GROUP_MAX: Final = 200
"""Items of one transaction at most: that bounds its statements and how long it holds its locks."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Pending(Generic[T, R]):
    """An item that waits for its transaction."""

    item: T
    result: asyncio.Future[R]


class GroupWriter(Generic[T, R]):
    """Write items in the order of their arrival, each answered after the commit that holds it.

    Args:
        database: what is written to.
        apply: writes items inside a transaction and returns a result for each. When it raises, nothing of the group
            remains and its items are tried one by one, so that a defective one fails alone.
        service: the service's name in logs.
        most: items of one group at most.
        interval_sec: least time between the starts of two transactions: under load it fills groups, and a lone item
            never waits.
        wait_sec: how long an item waits for its commit before it is given up; None for as long as it takes.
    """

    def __init__(
        self,
        database: Database,
        apply: Callable[[Transaction, Sequence[T]], Awaitable[Sequence[R]]],
        *,
        service: str,
        most: int = GROUP_MAX,
        interval_sec: float = 0.0,
        wait_sec: float | None = None,
    ) -> None:
        self._database = database
        self._apply = apply
        self._service = service
        self._most = most
        self._interval_sec = interval_sec
        self._wait_sec = wait_sec
        self._pending: list[_Pending[T, R]] = []
        self._running: asyncio.Task[None] | None = None
        self._started = 0.0

    async def write(self, item: T) -> R:
        """Write an item and return its result once it is committed. A caller that leaves does not take it back.

        Raises:
            DatabaseUnavailableError: as `Database.write`; or its transaction did not begin, or not end, within
                `wait_sec`: then it may or may not be written.
            Exception: what `apply` raised for this item alone.
        """
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(item, result))
        if self._running is None:
            # A context of its own: the groups to come belong to other requests.
            self._running = asyncio.create_task(self._run(), context=Context())
        try:
            async with asyncio.timeout(self._wait_sec):
                return await result
        except TimeoutError:
            if not result.cancelled():
                raise
            self._pending = [each for each in self._pending if each.result is not result]
            reason = f"no commit within {self._wait_sec:g} s"
            raise DatabaseUnavailableError(ErrorCode.SERVICE_UNAVAILABLE, reason) from None

    async def close(self) -> None:
        """Wait until nothing is being written. Call this before the database is closed."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        """Write groups until no item waits."""
        clock = asyncio.get_running_loop().time
        try:
            with service_context(self._service):
                while self._pending:
                    # At least one turn of the loop, in which others that were ready arrive.
                    await asyncio.sleep(max(0.0, self._started + self._interval_sec - clock()))
                    self._started = clock()
                    group, self._pending = self._pending[: self._most], self._pending[self._most :]
                    await self._write(group)
        except BaseException as error:
            # Cancelled, as by a driver or at the end of the process: nothing waits for ever.
            _fail(self._pending, DatabaseUnavailableError(ErrorCode.SERVICE_UNAVAILABLE, f"writing ended: {error!r}"))
            self._pending = []
            raise
        finally:
            self._running = None

    async def _write(self, group: Sequence[_Pending[T, R]]) -> None:
        try:
            await self._commit(group)
        except DatabaseUnavailableError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - raised where the items are awaited
            # A deadlock with another order of locks, or a defect of one item: it must not fail the others.
            log.warning("group_failed", items=len(group), error=str(error).partition("\n")[0])
            await self._write_one_by_one(group, error)
        except BaseException as error:
            _fail(group, DatabaseUnavailableError(ErrorCode.SERVICE_UNAVAILABLE, f"writing ended: {error!r}"))
            raise

    async def _write_one_by_one(self, group: Sequence[_Pending[T, R]], failure: Exception) -> None:
        if len(group) == 1:
            _fail(group, failure)
            return
        for at, one in enumerate(group):
            if one.result.done():
                continue
            try:
                await self._commit([one])
            except DatabaseUnavailableError as error:
                # Each of the others would wait as long for the same.
                _fail(group[at:], error)
                return
            except Exception as error:  # noqa: BLE001 - raised where the item is awaited
                _fail([one], error)

    async def _commit(self, group: Sequence[_Pending[T, R]]) -> None:
        async with self._database.write() as transaction:
            results = await self._apply(transaction, [pending.item for pending in group])
            if len(results) != len(group):
                raise ValueError(f"{len(results)} results for {len(group)} items")
        for pending, result in zip(group, results, strict=True):
            if not pending.result.done():
                pending.result.set_result(result)


def _fail(group: Sequence[_Pending[T, R]], error: Exception) -> None:
    for pending in group:
        if not pending.result.done():
            pending.result.set_exception(error)
