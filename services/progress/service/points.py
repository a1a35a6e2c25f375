"""Use cases of points: earned by watching, added or taken away by administrators."""

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
from services.progress.clients.auth import Accounts
from services.progress.domain import PlaySession
from services.progress.models import PointEntry
from services.progress.repository import PointRepository, ViewerRepository

log = structlog.get_logger()

SOURCE = "progress"
CHECK_EVERY_SEC = 24 * 3600
CONTRADICTIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Ledger:
    """A page of a user's ledger."""

    balance: int
    """The sum of all lines, those on other pages included."""
    entries: Sequence[PointEntry]
    """Newest first."""
    total: int


class Points:
    """The ledgers of all users.

    Args:
        database: progress's database.
        accounts: looks up accounts.
        per_view: points for the first view of a video; 0 for none.
    """

    def __init__(self, database: Database, accounts: Accounts, *, per_view: int) -> None:
        self._database = database
        self._accounts = accounts
        self._per_view = per_view

    async def grant(self, transaction: Transaction, views: Sequence[tuple[PlaySession, Event]]) -> None:
        """Grant points for each view, with the event that reports it, that is its viewer's first of the video.

        The viewers must be locked, so that no other transaction adds to their ledgers meanwhile. A constraint of the
        table also ensures that a video counts once.
        """
        first = {(view.user_id, view.video_id): cause for view, cause in reversed(views)}
        points = PointRepository(transaction.session)
        new = first.keys() - await points.already_granted(first)
        if not new:
            return
        ends = await points.last_lines({user_id for user_id, _ in new})
        entries, events, now = list[PointEntry](), list[Event](), datetime.now(UTC)
        # In the order of the views: a ledger's lines are numbered by it.
        for user_id, video_id in dict.fromkeys((view.user_id, view.video_id) for view, _ in views):
            if (user_id, video_id) not in new:
                continue
            number, balance = ends.get(user_id, (0, 0))
            ends[user_id] = number + 1, balance + self._per_view
            entry = _entry(user_id, self._per_view, ends[user_id], now, video_id=video_id)
            entries.append(entry)
            if entry.points:
                events.append(_granted(entry).caused_by(first[user_id, video_id]))
        await points.add(entries)
        await transaction.record(*events)

    async def adjust(self, user_id: str, points: int, reason: str, *, by: str, address: str = "") -> PointEntry:
        """Add points or take some away; the ledger and the audit log record who did it and why.

        Args:
            user_id: owner of the ledger.
            points: number of points; negative to take away.
            reason: shown to readers of the ledger.
            by: id of the administrator.
            address: the administrator's client address.

        Raises:
            ApiError: CONTENT_NOT_FOUND when there is no such account; SERVICE_UNAVAILABLE when auth can't be reached;
                VALIDATION_FAILED when more would be taken away than there is.
        """
        if user_id not in await self._accounts.logins([user_id]):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        async with self._database.write() as transaction:
            if not await ViewerRepository(transaction.session).lock_unless_erased([user_id]):
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            ledger = PointRepository(transaction.session)
            number, balance = (await ledger.last_lines([user_id])).get(user_id, (0, 0))
            if balance + points < 0:
                raise invalid_field("points", f"takes away more than the {balance} there are")
            end = number + 1, balance + points
            entry = _entry(user_id, points, end, datetime.now(UTC), reason=reason, adjusted_by=by)
            await ledger.add([entry])
            await transaction.record(_granted(entry))
            details: dict[str, Detail] = {"points": points, "balance": entry.balance, "reason": reason}
            await transaction.record(
                AuditAction(Admin(by, address), "points.adjusted", "user", user_id, details).event(SOURCE)
            )
        log.info("points_adjusted", user_id=user_id, points=points, balance=entry.balance, adjusted_by=by)
        return entry

    async def ledger(self, user_id: str, *, offset: int, limit: int) -> Ledger:
        """Return a page of a user's ledger."""
        async with self._database.read() as session:
            return Ledger(*await PointRepository(session).page(user_id, offset=offset, limit=limit))

    async def contradictions(self) -> Sequence[str]:
        """Return where the ledgers contradict themselves or the view log; empty if they are consistent.

        Every line is checked: numbers without gaps, balances that are the sums so far, and a line for each video that
        a user has watched.
        """
        async with self._database.read() as session:
            found = await PointRepository(session).contradictions(CONTRADICTIONS_SHOWN)
        return [
            f"{user_id}: a view without points" if number is None else f"{user_id}: line {number} is no sum"
            for user_id, number in found
        ]

    async def check_periodically(self) -> None:
        """Check all ledgers periodically, until cancelled; log contradictions as errors for the operator."""
        while True:
            for contradiction in await self.contradictions():
                log.error("point_ledger_contradiction", what=contradiction)
            await asyncio.sleep(CHECK_EVERY_SEC)


def _entry(
    user_id: str,
    points: int,
    end: tuple[int, int],
    now: datetime,
    *,
    video_id: str | None = None,
    reason: str | None = None,
    adjusted_by: str | None = None,
) -> PointEntry:
    """Return a line of a ledger; `end` is its number and the balance after it."""
    number, balance = end
    return PointEntry(
        user_id=user_id,
        number=number,
        points=points,
        balance=balance,
        video_id=video_id,
        reason=reason,
        adjusted_by=adjusted_by,
        created_at=now,
    )


def _granted(entry: PointEntry) -> Event:
    message = points_pb2.PointsGranted(
        user_id=entry.user_id,
        points=entry.points,
        balance=entry.balance,
        video_id=entry.video_id or "",
        reason=entry.reason or "",
    )
    return Event.of(message, source=SOURCE, subject=entry.user_id, version=entry.number)
