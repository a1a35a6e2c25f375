"""Corporations and their plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.events.envelope import Event
from kit.ids import is_id, new_id
from kit.rpc import timestamp
from marquee.events.v1 import corporation_pb2
from services.auth.domain import Plan, searchable
from services.auth.models import Corporation
from services.auth.repository import CorporationRepository
from services.auth.service.common import SOURCE, SYSTEM, Actor, write_audit


class Corporations:
    """What administrators do with corporations, and the expiry of their plans."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> datetime:
        """Return the time at which plans are evaluated."""
        return self._clock()

    async def page(self, query: str | None, *, offset: int, limit: int) -> tuple[Sequence[Corporation], int]:
        """Return corporations, newest first, and their total number."""
        wanted = searchable(query) if query else None
        async with self._database.read() as session:
            return await CorporationRepository(session).page(wanted, offset=offset, limit=limit)

    async def get(self, corporation_id: str) -> Corporation:
        """Return a corporation.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        async with self._database.read() as session:
            found = await CorporationRepository(session).get(corporation_id) if is_id(corporation_id) else None
        if found is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return found

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Corporation]:
        """Return several corporations; unknown ids are left out."""
        async with self._database.read() as session:
            return await CorporationRepository(session).by_ids([id_ for id_ in ids if is_id(id_)])

    async def make(self, name: str, actor: Actor) -> Corporation:
        """Create a corporation on the free plan.

        Raises:
            ApiError: CORPORATION_NAME_TAKEN.
        """
        now = self._clock()
        corporation = Corporation(
            id=new_id(),
            name=name,
            name_key=searchable(name),
            plan="free",
            created_at=now,
            updated_at=now,
            version=1,
        )
        try:
            async with self._database.write() as transaction:
                CorporationRepository(transaction.session).add(corporation)
                write_audit(transaction, "corporation.created", actor, ("corporation", corporation.id), now, name=name)
        except IntegrityError as error:
            raise ApiError(ErrorCode.CORPORATION_NAME_TAKEN) from error
        return corporation

    async def rename(self, corporation_id: str, name: str, actor: Actor) -> Corporation:
        """Rename a corporation.

        Raises:
            ApiError: CONTENT_NOT_FOUND, or CORPORATION_NAME_TAKEN.
        """
        now = self._clock()
        try:
            async with self._database.write() as transaction:
                corporation = await _locked(transaction, corporation_id)
                if corporation.name != name:
                    corporation.name, corporation.name_key = name, searchable(name)
                    _touch(corporation, now)
                    write_audit(
                        transaction, "corporation.changed", actor, ("corporation", corporation.id), now, name=name
                    )
        except IntegrityError as error:
            raise ApiError(ErrorCode.CORPORATION_NAME_TAKEN) from error
        return corporation

    async def set_plan(self, corporation_id: str, plan: Plan, expires_at: datetime | None, actor: Actor) -> Corporation:
        """Put a corporation on a plan; the same plan and end again changes nothing.

        Args:
            corporation_id: the corporation.
            plan: the plan.
            expires_at: end of a paid plan; None for one that does not end, and for the free plan.
            actor: the administrator who decides it.

        Raises:
            ApiError: CONTENT_NOT_FOUND, or VALIDATION_FAILED for an end in the past or of a free plan.
        """
        now = self._clock()
        if expires_at is not None and (plan == "free" or expires_at <= now):
            raise invalid_field("expires_at", "must be in the future, and of a paid plan")
        async with self._database.write() as transaction:
            corporation = await _locked(transaction, corporation_id)
            if (corporation.plan, corporation.plan_expires_at) != (plan, expires_at):
                corporation.plan, corporation.plan_expires_at = plan, expires_at
                _touch(corporation, now)
                message = corporation_pb2.CorporationPlanChanged(
                    corporation_id=corporation.id,
                    plan=plan,
                    expires_at=None if expires_at is None else timestamp(expires_at),
                )
                await transaction.record(_event(message, corporation.id, corporation.version))
                write_audit(
                    transaction,
                    "corporation.plan_changed",
                    actor,
                    ("corporation", corporation.id),
                    now,
                    plan=plan,
                    expires_at=None if expires_at is None else expires_at.isoformat(),
                )
        return corporation

    async def delete(self, corporation_id: str, actor: Actor) -> None:
        """Remove a corporation without members.

        Raises:
            ApiError: CONTENT_NOT_FOUND, or CORPORATION_NOT_EMPTY.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            corporations = CorporationRepository(transaction.session)
            # Locked: no account can join between the check and the removal.
            corporation = await _locked(transaction, corporation_id)
            if await corporations.has_members(corporation.id):
                raise ApiError(ErrorCode.CORPORATION_NOT_EMPTY)
            message = corporation_pb2.CorporationDeleted(corporation_id=corporation.id)
            await transaction.record(_event(message, corporation.id, corporation.version + 1))
            write_audit(
                transaction, "corporation.deleted", actor, ("corporation", corporation.id), now, name=corporation.name
            )
            await corporations.remove(corporation)

    async def expire_plans(self) -> int:
        """Make overdue paid plans free, with one event each even if replicas run concurrently; return how many."""
        now = self._clock()
        async with self._database.write() as transaction:
            expired = await CorporationRepository(transaction.session).expire(now)
            for corporation_id, ended_at, version in expired:
                message = corporation_pb2.CorporationPlanExpired(
                    corporation_id=corporation_id, expired_at=timestamp(ended_at)
                )
                await transaction.record(_event(message, corporation_id, version))
                write_audit(transaction, "corporation.plan_expired", SYSTEM, ("corporation", corporation_id), now)
        return len(expired)


async def _locked(transaction: Transaction, corporation_id: str) -> Corporation:
    found = (
        await CorporationRepository(transaction.session).get_for_update(corporation_id)
        if is_id(corporation_id)
        else None
    )
    if found is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return found


def _touch(corporation: Corporation, now: datetime) -> None:
    corporation.version += 1
    corporation.updated_at = now


def _event(
    message: corporation_pb2.CorporationPlanChanged
    | corporation_pb2.CorporationPlanExpired
    | corporation_pb2.CorporationDeleted,
    corporation_id: str,
    version: int,
) -> Event:
    return Event.of(message, source=SOURCE, subject=corporation_id, version=version)
