"""Use cases about points: what watching earns, and what administrators add or take away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.audit import Admin, AuditAction, Detail
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.events.envelope import Event
from marquee.events.v1 import points_pb2
from services.progress.clients.auth import People
from services.progress.models import PointEntry
from services.progress.repository import PointRepository, ViewerRepository

log = structlog.get_logger()

SOURCE = "progress"
CHECK_EVERY_SEC = 24 * 3600
CONTRADICTIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Ledger:
    """A page of somebody's ledger."""

    balance: int
    """The sum of all lines, also of those on other pages."""
    entries: Sequence[PointEntry]
    """Newest first."""
    total: int


class Points:
    """Everybody's ledgers.

    Args:
        database: where they are.
        people: knows who there is.
        per_view: what the first view of a video earns; 0 for nothing.
    """

    def __init__(self, database: Database, people: People, *, per_view: int) -> None:
        self._database = database
        self._people = people
        self._per_view = per_view

    async def grant(self, transaction: Transaction, user_id: str, video_id: str) -> None:
        """Points for a view, if it is the viewer's first of this video.

        The caller has entered the viewer, so that nobody else adds to this ledger in the meantime; that a video counts
        once is a constraint of the table besides.
        """
        points = PointRepository(transaction.session)
        if await points.has_view(user_id, video_id):
            return
        entry = await _add(points, user_id, self._per_view, video_id=video_id)
        if entry.points:
            await _tell(transaction, entry)

    async def adjust(self, user_id: str, points: int, reason: str, *, by: str, address: str = "") -> PointEntry:
        """Adds points, or takes some away; the ledger and the audit log say who did and why.

        Args:
            user_id: whose.
            points: how many; negative to take away.
            reason: why, for whoever reads the ledger.
            by: the administrator.
            address: from where.

        Raises:
            ApiError: CONTENT_NOT_FOUND for somebody who has no account; SERVICE_UNAVAILABLE when auth can't be asked;
                VALIDATION_FAILED when more would be taken away than there is.
        """
        if user_id not in await self._people.logins([user_id]):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        async with self._database.write() as transaction:
            if not await ViewerRepository(transaction.session).enter(user_id):
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            entry = await _add(PointRepository(transaction.session), user_id, points, reason=reason, adjusted_by=by)
            if entry.balance < 0:
                problem = f"takes away more than the {entry.balance - points} there are"
                raise invalid_field("points", problem)
            await _tell(transaction, entry)
            details: dict[str, Detail] = {"points": points, "balance": entry.balance, "reason": reason}
            await transaction.record(
                AuditAction(Admin(by, address), "points.adjusted", "user", user_id, details).event(SOURCE)
            )
        log.info("points_adjusted", user_id=user_id, points=points, balance=entry.balance, adjusted_by=by)
        return entry

    async def ledger(self, user_id: str, *, offset: int, limit: int) -> Ledger:
        """What somebody has, and how it came about."""
        async with self._database.read() as session:
            return Ledger(*await PointRepository(session).page(user_id, offset=offset, limit=limit))

    async def contradictions(self) -> Sequence[str]:
        """Where the ledgers contradict themselves or the view log; empty when all is well.

        Looks at every line: numbers without gaps, balances that are the sums so far, and a line for each video that
        somebody has watched.
        """
        async with self._database.read() as session:
            found = await PointRepository(session).contradictions(CONTRADICTIONS_SHOWN)
        return [
            f"{user_id}: a view without points" if number is None else f"{user_id}: line {number} is no sum"
            for user_id, number in found
        ]

    async def keep_checked(self) -> None:
        """Checks now and then, until cancelled. What it finds is for an operator to look at."""
        while True:
            for contradiction in await self.contradictions():
                log.error("point_ledger_contradiction", what=contradiction)
            await asyncio.sleep(CHECK_EVERY_SEC)


async def _add(
    ledger: PointRepository,
    user_id: str,
    points: int,
    *,
    video_id: str | None = None,
    reason: str | None = None,
    adjusted_by: str | None = None,
) -> PointEntry:
    last = await ledger.last(user_id)
    entry = PointEntry(
        user_id=user_id,
        number=last.number + 1 if last else 1,
        points=points,
        balance=(last.balance if last else 0) + points,
        video_id=video_id,
        reason=reason,
        adjusted_by=adjusted_by,
        created_at=datetime.now(UTC),
    )
    await ledger.add(entry)
    return entry


async def _tell(transaction: Transaction, entry: PointEntry) -> None:
    message = points_pb2.PointsGranted(
        user_id=entry.user_id,
        points=entry.points,
        balance=entry.balance,
        video_id=entry.video_id or "",
        reason=entry.reason or "",
    )
    event = Event.of(message, source=SOURCE, subject=entry.user_id, version=entry.number)
    await transaction.record(event)
