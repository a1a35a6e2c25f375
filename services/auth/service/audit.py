"""The audit log: read and prune it, and alert on too many failed logins."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from kit.cursors import decode_moment_cursor, encode_moment_cursor
from kit.db.database import Database, Transaction
from kit.errors import invalid_field
from kit.events.envelope import Event
from kit.events.registry import type_of
from marquee.events.v1 import user_pb2
from services.auth.models import Alert, AuditEntry
from services.auth.repository import AlertRepository, AuditFilter, AuditRepository, UserRepository
from services.auth.service.common import SOURCE

log = structlog.get_logger()

BURST_WINDOW = timedelta(minutes=5)
BURST = type_of(user_pb2.FailuresBurst)
BUSIEST = 5
DELIVERIES = 6
FIRST_RETRY = timedelta(seconds=20)
"""Doubled after each attempt: the last one is about ten minutes after the first."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What an administrator did, as another service reports it."""

    id: str
    """Of the event."""
    at: datetime
    action: str
    actor_id: str
    target_kind: str
    target_id: str | None
    address: str
    details: str
    """A JSON object."""

    @property
    def target_user(self) -> str | None:
        """The user that it was done to; None when it was done to something else."""
        return self.target_id if self.target_kind == "user" else None


class Audit:
    """The audit log, and the alerts that follow from it.

    Args:
        database: auth's database.
        retention_days: how long entries are kept, in days.
        burst: failed logins in five minutes that raise an alert.
        clock: returns the time.
    """

    def __init__(self, database: Database, *, retention_days: int, burst: int, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._retention = timedelta(days=retention_days)
        self._burst = burst
        self._clock = clock

    async def page(
        self, wanted: AuditFilter, *, offset: int, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[AuditEntry], int, str | None]:
        """Return entries, newest first, their number up to a limit, and the cursor of the next page.

        Args:
            wanted: conditions.
            offset: how many to skip; not used with a cursor.
            limit: how many to return at most.
            cursor: as the page before gave it.

        Raises:
            ApiError: VALIDATION_FAILED for a cursor that is not one.
        """
        try:
            after = decode_moment_cursor(cursor) if cursor else None
        except ValueError as error:
            raise invalid_field("cursor", str(error)) from error
        async with self._database.read() as session:
            entries, total = await AuditRepository(session).page(
                wanted, offset=0 if after else offset, limit=limit, after=after
            )
        following = encode_moment_cursor(entries[-1].at, entries[-1].id) if len(entries) == limit else None
        return entries, total, following

    async def enter(self, transaction: Transaction, records: Sequence[AuditRecord]) -> None:
        """Write entries about what administrators did with other services.

        Of users whose accounts were erased before they arrive, only their ids are kept, which identify no one any more.

        Args:
            transaction: the transaction that also records the deliveries.
            records: the actions.
        """
        persons = {each.actor_id for each in records} | {user_id for each in records if (user_id := each.target_user)}
        there = set(await UserRepository(transaction.session).lock_existing(persons))
        entries = AuditRepository(transaction.session)
        for record in records:
            is_about_erased = record.target_user not in {None, record.actor_id, *there}
            entry = AuditEntry(
                id=record.id,
                at=record.at,
                action=record.action,
                actor_id=record.actor_id,
                target_kind=record.target_kind,
                target_id=record.target_id,
                client_address=record.address if record.actor_id in there else "",
                details="{}" if is_about_erased else record.details,
            )
            entries.add(entry)

    async def delete_old_entries(self) -> None:
        """Remove entries older than the retention."""
        async with self._database.write() as transaction:
            await AuditRepository(transaction.session).delete_before(self._clock() - self._retention)

    async def detect_failure_burst(self) -> bool:
        """Raise an alert if too many logins failed, once per window for all replicas; return whether it was raised."""
        now = self._clock()
        since = now - BURST_WINDOW
        async with self._database.read() as session:
            entries = AuditRepository(session)
            failures = await entries.count("login.failed", since)
            if failures < self._burst:
                return False
            busiest = await entries.busiest_addresses("login.failed", since, BUSIEST)
        addresses = [f"{address}: {times}" for address, times in busiest]
        window_sec = int(BURST_WINDOW.total_seconds())
        body = {
            "kind": BURST,
            # The field that chat systems show of a webhook.
            "text": f"Marquee: {failures} logins failed in {window_sec // 60} minutes ({', '.join(addresses)}).",
            "failures": failures,
            "window_sec": window_sec,
            "addresses": addresses,
            "raised_at": now.isoformat(),
        }
        async with self._database.write() as transaction:
            alerts = AlertRepository(transaction.session)
            if not await alerts.raise_once(BURST, json.dumps(body, ensure_ascii=False), now, since):
                return False
            message = user_pb2.FailuresBurst(failures=failures, window_sec=window_sec, addresses=addresses)
            await transaction.record(Event.of(message, source=SOURCE, subject=BURST))
        log.warning("login_failures_burst", failures=failures, addresses=addresses)
        return True

    async def take_alert(self) -> Alert | None:
        """Return an alert that is due for delivery. It becomes due again, a few times, until `mark_delivered`."""
        now = self._clock()
        async with self._database.write() as transaction:
            alert = await AlertRepository(transaction.session).due(now)
            if alert is not None:
                alert.attempts += 1
                retry = now + FIRST_RETRY * 2 ** (alert.attempts - 1)
                alert.next_attempt_at = retry if alert.attempts < DELIVERIES else None
        return alert

    async def mark_delivered(self, alert: Alert) -> None:
        """Record that an alert was delivered."""
        async with self._database.write() as transaction:
            await AlertRepository(transaction.session).mark_delivered(alert.kind, alert.raised_at)
