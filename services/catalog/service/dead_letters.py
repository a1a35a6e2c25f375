"""Events that a subscription gave up on: list them, show one, and hand them back to their queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

import structlog

from kit.audit import Admin, AuditAction, Detail
from kit.bus import Bus, BusUnavailableError, DeadLetter
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode, service_unavailable
from services.catalog.service.events import SOURCE

log = structlog.get_logger()
T = TypeVar("T")

QUEUES: Final = (
    "auth.audit",
    "catalog.accounts",
    "catalog.media",
    "progress.accounts",
    "progress.videos",
    "progress.views",
    "stream.licence_accounts",
    "stream.lost_accounts",
    "stream.purged_videos",
    "thumbnailer.import_artwork",
    "thumbnailer.import_facts",
    "thumbnailer.jobs",
    "thumbnailer.protect",
    "thumbnailer.reprocess",
    "thumbnailer.upload_artwork",
    "thumbnailer.upload_facts",
)
"""The work subscriptions of all services. A broker can't be asked for them; a contract test compares the two."""
MAX_SEARCHED: Final = 10_000
"""How many letters of one queue are read to find one of them."""
_RETRY_AFTER_SEC = 5


def letter_id(letter: DeadLetter) -> str:
    """Return the id of a dead letter: an event may be dead in one queue and alive in another."""
    return f"{letter.subscription}:{letter.event.id}"


class DeadLetters:
    """The dead letters of the whole platform, through the bus that all services share."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def list(self, subscription: str | None, limit: int) -> list[DeadLetter]:
        """Return the oldest dead letters, at most `limit`, of one queue or of all.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when the broker does not answer.
        """
        names = QUEUES if subscription is None else (subscription,)
        found = await _available(asyncio.gather(*(self._bus.dead_letters(name, limit) for name in names)))
        letters = [letter for letters in found for letter in letters]
        return sorted(letters, key=lambda letter: letter.died_at)[:limit]

    async def get(self, identifier: str) -> DeadLetter:
        """Return one dead letter.

        Raises:
            ApiError: CONTENT_NOT_FOUND; SERVICE_UNAVAILABLE when the broker does not answer.
        """
        subscription, event_id = _parts(identifier)
        for letter in await _available(self._bus.dead_letters(subscription, MAX_SEARCHED)):
            if letter.event.id == event_id:
                return letter
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def replay(self, identifier: str, admin: Admin) -> int:
        """Hand one dead letter back to its queue. Return how many were: 1.

        Raises:
            ApiError: CONTENT_NOT_FOUND; SERVICE_UNAVAILABLE when the broker does not answer.
        """
        subscription, event_id = _parts(identifier)
        count = await _available(self._bus.replay(subscription, [event_id]))
        if not count:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        await self._audit(admin, subscription, count, event_id)
        return count

    async def replay_all(self, subscription: str, admin: Admin) -> int:
        """Hand all dead letters of a queue back to it. Return how many there were.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when the broker does not answer.
        """
        count = await _available(self._bus.replay(subscription))
        if count:
            await self._audit(admin, subscription, count)
        return count

    async def _audit(self, admin: Admin, subscription: str, count: int, event_id: str = "") -> None:
        details: dict[str, Detail] = {"subscription": subscription, "replayed": count}
        action = AuditAction(admin, "dead_letter.replayed", "dead_letter", event_id, details)
        async with self._database.write() as transaction:
            await transaction.record(action.event(SOURCE))
        log.info("dead_letters_replayed", subscription=subscription, count=count, user_id=admin.user_id)


def _parts(identifier: str) -> tuple[str, str]:
    subscription, colon, event_id = identifier.partition(":")
    if not colon or not subscription or not event_id:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return subscription, event_id


async def _available(call: Awaitable[T]) -> T:
    try:
        return await call
    except BusUnavailableError as error:
        log.warning("dead_letters_unavailable", reason=str(error))
        raise service_unavailable("broker", retry_after_sec=_RETRY_AFTER_SEC) from error
