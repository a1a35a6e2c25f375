"""Answers that are kept encoded for as long as the catalogue is as it was (docs/adr/0035)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from typing import Any, Final

from kit.aio.single_flight import SingleFlight
from kit.cache import ByteCache, LruCache
from kit.db.database import Database
from kit.encoded_json import Encoded
from services.catalog.domain import Caller, Reach
from services.catalog.repository.version import SELECT_VERSION, select_own

Make = Callable[[], Coroutine[Any, Any, bytes]]
_CALLERS: Final = 20_000
"""Callers of whom is known whether they have uploads that are not ready."""


class CatalogueVersions:
    """Reads the number of the catalogue's last change, once for all who ask at the same time.

    Args:
        database: the catalogue's.
        forget: drop what is kept of parts of answers, such as totals; called when the number is another one.
    """

    def __init__(self, database: Database, forget: Callable[[], None]) -> None:
        self._database = database
        self._forget = forget
        self._last = 0
        self._running: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None

    async def current(self) -> int:
        """Return the number by a read that begins after this call: no change committed before is missed."""
        if self._next is None:
            # A context of its own: it belongs to several requests.
            self._next = asyncio.create_task(self._read(self._running), context=Context())
        return await asyncio.shield(self._next)

    async def _read(self, before: asyncio.Task[int] | None) -> int:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        version = int(await self._database.look(SELECT_VERSION))
        if version != self._last:
            self._last = version
            # Before an answer is made of it that would be kept for longer.
            self._forget()
        return version


class Answers:
    """Keeps answers, each with the number of the catalogue's last change before it was made.

    An answer is given only while that number stands, so it never shows what a change has hidden, wherever and by whom
    the change was written.

    Args:
        database: the catalogue's.
        max_bytes: of all answers; those not used for longest go first.
        forget: see `CatalogueVersions`.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        database: Database,
        max_bytes: int,
        forget: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._versions = CatalogueVersions(database, forget)
        self._kept: ByteCache[Hashable, tuple[int, float]] = ByteCache(max_bytes)
        self._has_own: LruCache[str, tuple[int, bool]] = LruCache(_CALLERS)
        self._flight: SingleFlight[Hashable, bytes] = SingleFlight()
        self._clock = clock

    async def for_reach(self, caller: Caller, key: Hashable, make: Make, seconds: float = float("inf")) -> Encoded:
        """Return an answer that is the same for all callers of one reach.

        Args:
            caller: who asks.
            key: what is asked for, and in which language where that matters.
            make: makes the answer, in transactions that begin after its call.
            seconds: how long it is kept at most, where it also depends on what is not in the catalogue.
        """
        return Encoded(await self._get(await self._versions.current(), (Reach.of(caller), key), make, seconds))

    async def for_caller(self, caller: Caller, key: Hashable, make: Make, seconds: float = float("inf")) -> Encoded:
        """Return an answer that also holds uploads of the caller that are not ready; the arguments are the same."""
        version = await self._versions.current()
        owner = caller.user_id if not caller.is_admin and await self._owns(caller.user_id, version) else ""
        return Encoded(await self._get(version, (Reach.of(caller), owner, key), make, seconds))

    async def for_services(self, key: Hashable, make: Make) -> bytes:
        """Return an answer to another service, which decides itself what its caller may see of it."""
        return await self._get(await self._versions.current(), key, make, float("inf"))

    async def _get(self, version: int, key: Hashable, make: Make, seconds: float) -> bytes:
        kept = self._kept.get(key)
        if kept is not None:
            (kept_version, until), answer = kept
            if kept_version == version and self._clock() < until:
                return answer
        # The version was read before the answer is: at worst a newer answer is made once more.
        return await self._flight.run((version, key), lambda: self._make(version, key, make, seconds))

    async def _make(self, version: int, key: Hashable, make: Make, seconds: float) -> bytes:
        until = self._clock() + seconds
        answer = await make()
        self._kept.put(key, (version, until), answer)
        return answer

    async def _owns(self, user_id: str, version: int) -> bool:
        known = self._has_own.get(user_id)
        if known is None or known[0] != version:
            known = (version, bool(await self._database.look(select_own(user_id))))
            self._has_own.put(user_id, known)
        return known[1]
