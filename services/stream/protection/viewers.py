"""What is known of viewers of protected films: their devices and refused requests, and the watermark made of that."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from kit.cache import LruCache
from kit.db.database import Transaction
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.watermark import RiskSignals, Watermark, risk_score, watermark, watermark_text
from services.stream.repository import SeenDeviceRepository

DEVICES_FOR: Final = timedelta(days=30)
"""How long a device counts after it was in use."""
KNOWN_FOR: Final = timedelta(days=365)
"""How long a device is known after it was in use."""
FAILURES_FOR_SEC: Final = 3600.0
_FAILURES_KEPT: Final = 10
_USERS: Final = 10_000
_UUID_WITH_TIME: Final = 7

FindNames = Callable[[Iterable[str]], Awaitable[dict[str, str]]]
"""Returns the display names of users, as far as they have one."""


class Viewers:
    """Watch for signs of copying, and say how strongly a viewer is to be marked.

    Args:
        content_keys: for the database.
        find_names: display names of users.
        clock: seconds that never go back.
    """

    def __init__(
        self, content_keys: ContentKeys, find_names: FindNames, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._content_keys = content_keys
        self._find_names = find_names
        self._clock = clock
        # Of this process only: a hint, which need not outlive it.
        self._failures = LruCache[str, tuple[float, ...]](_USERS)

    def record_failure(self, user_id: str) -> None:
        """Record that a request for a key was refused."""
        self._failures.put(user_id, (*self._recent_failures(user_id), self._clock())[-_FAILURES_KEPT:])

    async def mark(self, user_id: str, device: str, *, is_offline: bool) -> Watermark:
        """Record that a user plays on a device, and return the watermark.

        Args:
            user_id: the user.
            device: what tells the user's devices apart.
            is_offline: whether it is for a licence.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        now = datetime.now(UTC)
        digest = hashlib.sha256(device.encode()).hexdigest()
        async with self._content_keys.database.write() as transaction:
            devices = SeenDeviceRepository(transaction.session)
            seen = await devices.last_seen(user_id)
            await devices.see(user_id, digest, now)
        in_use = {each for each, last_seen_at in seen.items() if last_seen_at >= now - DEVICES_FOR}
        signals = RiskSignals(
            is_new_device=digest not in seen,
            devices=len(in_use | {digest}),
            is_offline=is_offline,
            account_age_days=_account_age_days(user_id, now),
            failures=len(self._recent_failures(user_id)),
        )
        names = await self._find_names([user_id])
        return watermark(watermark_text(names.get(user_id), user_id), risk_score(signals))

    @staticmethod
    async def forget_user(transaction: Transaction, user_id: str) -> None:
        """Remove the devices of a user whose account was deleted."""
        await SeenDeviceRepository(transaction.session).delete_user(user_id)

    @staticmethod
    async def prune(transaction: Transaction, now: datetime) -> None:
        """Remove devices that were not in use for a year."""
        await SeenDeviceRepository(transaction.session).delete_unseen_since(now - KNOWN_FOR)

    def _recent_failures(self, user_id: str) -> tuple[float, ...]:
        since = self._clock() - FAILURES_FOR_SEC
        return tuple(moment for moment in self._failures.peek(user_id) or () if moment > since)


def _account_age_days(user_id: str, now: datetime) -> float | None:
    """Return how old an account is, from the time in its id (RFC 9562, 5.7)."""
    try:
        account = UUID(user_id)
    except ValueError:
        return None
    if account.version != _UUID_WITH_TIME:
        return None
    return (now.timestamp() - (account.int >> 80) / 1000) / 86_400
