"""SQL of the audit log and of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import (
    Alert,
    AuditEntry,
)
from services.auth.repository.statements import insert

MAX_TOTAL: Final = 10_000
"""Entries are counted up to here."""
POINTS_ADJUSTED = "points.adjusted"
"""An action that progress reports; an administrator may have written personal data into the reason in its details."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Conditions on entries; None matches all."""

    action: str | None = None
    actor_id: str | None = None
    target_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditRepository:
    """The audit log."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, entry: AuditEntry) -> None:
        """Add an entry."""
        self._session.add(entry)

    async def page(
        self, wanted: AuditFilter, *, offset: int, limit: int, after: tuple[datetime, str] | None = None
    ) -> tuple[Sequence[AuditEntry], int]:
        """Return entries, newest first, and their number up to `MAX_TOTAL`.

        Args:
            wanted: conditions.
            offset: how many to skip.
            limit: how many to return at most.
            after: time and id of the last entry of the page before; the page begins behind it.
        """
        chosen = select(AuditEntry)
        for column, value in (
            (AuditEntry.action, wanted.action),
            (AuditEntry.actor_id, wanted.actor_id),
            (AuditEntry.target_id, wanted.target_id),
        ):
            if value is not None:
                chosen = chosen.where(column == value)
        if wanted.since is not None:
            chosen = chosen.where(AuditEntry.at >= wanted.since)
        if wanted.until is not None:
            chosen = chosen.where(AuditEntry.at < wanted.until)
        # By time, not by id: entries of other services arrive later than they happened.
        counted = chosen.with_only_columns(AuditEntry.id).limit(MAX_TOTAL).subquery()
        total = await self._session.scalar(select(func.count()).select_from(counted))
        if after is not None:
            chosen = chosen.where(tuple_(AuditEntry.at, AuditEntry.id) < after)
        rows = chosen.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).offset(offset).limit(limit)
        return (await self._session.scalars(rows)).all(), total or 0

    async def count(self, action: str, since: datetime) -> int:
        """Return how often an action happened since a time."""
        chosen = select(func.count()).where(AuditEntry.action == action, AuditEntry.at > since)
        return await self._session.scalar(chosen) or 0

    async def busiest_addresses(self, action: str, since: datetime, limit: int) -> Sequence[tuple[str, int]]:
        """Return the addresses with most actions of a kind since a time, and how many each has."""
        times = func.count()
        chosen = (
            select(AuditEntry.client_address, times)
            .where(AuditEntry.action == action, AuditEntry.at > since)
            .group_by(AuditEntry.client_address)
            .order_by(times.desc(), AuditEntry.client_address)
            .limit(limit)
        )
        return [(address, number) for address, number in await self._session.execute(chosen)]

    async def erase_person(self, user_id: str) -> None:
        """Erase a user's addresses, those of attempts on the account included, and why their points were adjusted."""
        mine = (AuditEntry.actor_id == user_id) | (AuditEntry.actor_id.is_(None) & (AuditEntry.target_id == user_id))
        await self._session.execute(update(AuditEntry).where(mine).values(client_address=""))
        adjusted = (AuditEntry.action == POINTS_ADJUSTED) & (AuditEntry.target_id == user_id)
        await self._session.execute(update(AuditEntry).where(adjusted).values(details="{}"))

    async def delete_before(self, before: datetime) -> None:
        """Remove entries from before a time."""
        await self._session.execute(delete(AuditEntry).where(AuditEntry.at < before))


class AlertRepository:
    """Alerts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def raise_once(self, kind: str, body: str, now: datetime, not_since: datetime) -> bool:
        """Raise an alert unless one of its kind was raised after a time; return True to one of concurrent callers."""
        values = {"raised_at": now, "body": body, "attempts": 0, "next_attempt_at": now}
        statement = (
            insert(self._session, Alert)
            .values(kind=kind, **values)
            .on_conflict_do_update(index_elements=["kind"], set_=values, where=Alert.raised_at <= not_since)
            .returning(Alert.kind)
        )
        return await self._session.scalar(statement) is not None

    async def due(self, now: datetime) -> Alert | None:
        """Return an alert that is due for delivery, locked for this transaction; None if there is none."""
        chosen = select(Alert).where(Alert.next_attempt_at <= now).limit(1).with_for_update(skip_locked=True)
        return await self._session.scalar(chosen)

    async def mark_delivered(self, kind: str, raised_at: datetime) -> None:
        """Record that an alert was delivered."""
        statement = update(Alert).where(Alert.kind == kind, Alert.raised_at == raised_at).values(next_attempt_at=None)
        await self._session.execute(statement)
