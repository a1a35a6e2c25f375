"""All SQL of auth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import (
    AccountChange,
    Alert,
    AuditEntry,
    Corporation,
    Instance,
    PasswordReset,
    RefreshToken,
    User,
)

ESCAPE = "\\"
MAX_SEARCH_WORDS = 20
POINTS_ADJUSTED = "points.adjusted"
"""Told by progress; its details give a reason, in which an administrator may have written anything about a person."""


def _words(query: str | None) -> list[str]:
    """Return the words that a name must hold, in any order."""
    return list(dict.fromkeys((query or "").split()))[:MAX_SEARCH_WORDS]


def _containing(text: str) -> str:
    """A LIKE pattern for texts that contain this one."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return f"%{text}%"


async def _page(
    session: AsyncSession, chosen: Select[Any], *newest_first: Any, offset: int, limit: int
) -> tuple[Sequence[Any], int]:
    """One page and the number of rows in all: two statements, however long the page."""
    total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
    rows = await session.scalars(chosen.order_by(*(each.desc() for each in newest_first)).offset(offset).limit(limit))
    return rows.all(), total or 0


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which accounts are wanted; None takes all."""

    query: str | None = None
    """A part of the login or the display name, in the form that `domain.searchable` gives."""
    status: str | None = None
    role: str | None = None
    corporation_id: str | None = None


class InstanceRepository:
    """What tells this installation from others."""

    _ROW = 1

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self) -> Instance | None:
        """Return the installation's row; None before the first start."""
        return await self._session.get(Instance, self._ROW)

    async def add_if_absent(self, name: str, device_key: str) -> None:
        """Write the row, unless another replica has."""
        statement = _insert(self._session, Instance).values(row=self._ROW, name=name, device_key=device_key)
        await self._session.execute(statement.on_conflict_do_nothing(index_elements=["row"]))


class UserRepository:
    """Accounts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, user: User) -> None:
        """Adds an account."""
        self._session.add(user)

    async def get(self, user_id: str) -> User | None:
        """An account by id."""
        return await self._session.get(User, user_id)

    async def locked(self, user_id: str) -> User | None:
        """An account that nobody else changes until the transaction ends; the lock of its refresh tokens, too."""
        return await self._session.get(User, user_id, populate_existing=True, with_for_update={"key_share": True})

    async def lock_active_admins(self) -> Sequence[str]:
        """Ids of the administrators who can act; none of them changes until the transaction ends.

        Lock them before the account that is to change: always in one order, so that nobody waits in a circle.
        """
        chosen = select(User.id).where(User.role == "admin", User.status == "active").order_by(User.id)
        return (await self._session.scalars(chosen.with_for_update(key_share=True))).all()

    async def by_login(self, login_key: str) -> User | None:
        """An account by its normalised login."""
        return await self._session.scalar(select(User).where(User.login_key == login_key))

    async def by_ids(self, ids: Sequence[str]) -> Sequence[User]:
        """Several accounts at once."""
        return (await self._session.scalars(select(User).where(User.id.in_(ids)))).all()

    async def held(self, ids: Collection[str]) -> Collection[str]:
        """Those of several accounts that there are; none of them is erased until the transaction ends.

        Locks them in the order in which administrators who erase one another are locked, so that nobody waits in a
        circle.
        """
        can_act = (User.role == "admin") & (User.status == "active")
        chosen = select(User.id).where(User.id.in_(ids)).order_by(can_act.desc(), User.id)
        return (await self._session.scalars(chosen.with_for_update(read=True))).all()

    async def exist(self) -> bool:
        """Whether there is any account."""
        return await self._session.scalar(select(User.id).limit(1)) is not None

    async def page(self, wanted: UserFilter, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Accounts, newest first, and how many there are in all."""
        chosen = select(User)
        for word in _words(wanted.query):
            chosen = chosen.where(User.search_text.like(_containing(word), escape=ESCAPE))
        for column, value in (
            (User.status, wanted.status),
            (User.role, wanted.role),
            (User.corporation_id, wanted.corporation_id),
        ):
            if value is not None:
                chosen = chosen.where(column == value)
        return await _page(self._session, chosen, User.id, offset=offset, limit=limit)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Keeps a better hash of the same password, unless another one was chosen meanwhile."""
        statement = update(User).where(User.id == user_id, User.password_hash == old).values(password_hash=new)
        await self._session.execute(statement)

    async def remove(self, user: User) -> None:
        """Removes an account with its refresh tokens and reset code."""
        await self._session.delete(user)
        await self._session.flush()


class RefreshTokenRepository:
    """Refresh tokens, by hash."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, token: RefreshToken) -> None:
        """Adds a token."""
        self._session.add(token)

    async def owner(self, token_hash: str) -> str | None:
        """Whose token it is. Lock that account before you read or change its tokens."""
        return await self._session.scalar(select(RefreshToken.user_id).where(RefreshToken.token_hash == token_hash))

    async def get(self, token_hash: str) -> RefreshToken | None:
        """A token."""
        return await self._session.get(RefreshToken, token_hash)

    async def revoke_family(self, family_id: str, now: datetime) -> int:
        """Voids all tokens of one login; answers how many were still valid."""
        statement = (
            update(RefreshToken)
            .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(RefreshToken.token_hash)
        )
        return len((await self._session.execute(statement)).all())

    async def revoke_all(self, user_id: str, now: datetime, *, but: str = "") -> Sequence[str]:
        """Voids all tokens of an account, but for those of one login; answers the logins that were ended."""
        statement = (
            update(RefreshToken)
            .where(RefreshToken.user_id == user_id, RefreshToken.family_id != but, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(RefreshToken.family_id)
        )
        return sorted(set((await self._session.execute(statement)).scalars()))

    async def revoked_since(self, since: datetime) -> Sequence[str]:
        """Families voided at or after a time."""
        chosen = select(RefreshToken.family_id).where(RefreshToken.revoked_at >= since).distinct()
        return (await self._session.scalars(chosen)).all()

    async def forget_expired(self, before: datetime) -> None:
        """Removes tokens that nobody could use any more anyway."""
        await self._session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))


class AccountChangeRepository:
    """Changes that others must learn of."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def note(self, user_id: str, claims_version: int, now: datetime) -> None:
        """Notes a change; a later one takes the place of an earlier one."""
        values = {"claims_version": claims_version, "changed_at": now}
        statement = _insert(self._session, AccountChange).values(user_id=user_id, **values)
        await self._session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))

    async def since(self, since: datetime) -> dict[str, int]:
        """The least version that holds of each account that changed at or after a time."""
        chosen = select(AccountChange.user_id, AccountChange.claims_version).where(AccountChange.changed_at >= since)
        return {row.user_id: row.claims_version for row in await self._session.execute(chosen)}

    async def forget(self, before: datetime) -> None:
        """Removes what no token that is still alive can be older than."""
        await self._session.execute(delete(AccountChange).where(AccountChange.changed_at < before))


class PasswordResetRepository:
    """Codes by which a new password may be chosen."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, user_id: str, code_hash: str, expires_at: datetime) -> None:
        """Keeps a code in the place of the one before."""
        await self.remove(user_id)
        self._session.add(PasswordReset(user_id=user_id, code_hash=code_hash, expires_at=expires_at))

    async def owner(self, code_hash: str, now: datetime) -> str | None:
        """Whose code it is, while it lasts. Lock that account, then ask again, before you act on it."""
        chosen = select(PasswordReset.user_id).where(
            PasswordReset.code_hash == code_hash, PasswordReset.expires_at > now
        )
        return await self._session.scalar(chosen)

    async def remove(self, user_id: str) -> None:
        """Voids an account's code."""
        await self._session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))


class CorporationRepository:
    """Corporations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, corporation: Corporation) -> None:
        """Adds a corporation."""
        self._session.add(corporation)

    async def get(self, corporation_id: str) -> Corporation | None:
        """A corporation by id."""
        return await self._session.get(Corporation, corporation_id)

    async def locked(self, corporation_id: str) -> Corporation | None:
        """A corporation that nobody else changes, joins or removes until the transaction ends."""
        return await self._session.get(Corporation, corporation_id, populate_existing=True, with_for_update=True)

    async def held(self, corporation_id: str) -> bool:
        """Whether there is such a corporation; it stays until the transaction ends."""
        chosen = select(Corporation.id).where(Corporation.id == corporation_id)
        return await self._session.scalar(chosen.with_for_update(read=True, key_share=True)) is not None

    async def has_members(self, corporation_id: str) -> bool:
        """Whether any account belongs to it."""
        return await self._session.scalar(select(User.id).where(User.corporation_id == corporation_id)) is not None

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Corporation]:
        """Several corporations at once."""
        return (await self._session.scalars(select(Corporation).where(Corporation.id.in_(ids)))).all()

    async def page(self, query: str | None, *, offset: int, limit: int) -> tuple[Sequence[Corporation], int]:
        """Corporations, newest first, and how many there are in all."""
        chosen = select(Corporation)
        for word in _words(query):
            chosen = chosen.where(Corporation.name_key.like(_containing(word), escape=ESCAPE))
        return await _page(self._session, chosen, Corporation.id, offset=offset, limit=limit)

    async def remove(self, corporation: Corporation) -> None:
        """Removes a corporation."""
        await self._session.delete(corporation)

    async def expire(self, now: datetime) -> Sequence[tuple[str, datetime, int]]:
        """Makes overdue paid plans free: id, end and new version of each, told to one of those who ask at once."""
        overdue = (Corporation.plan == "paid", Corporation.plan_expires_at <= now)
        # Locked first, so that the end of a plan can be told after it was cleared; another sweep's rows are its own.
        chosen = select(Corporation).where(*overdue).order_by(Corporation.id).with_for_update(skip_locked=True)
        rows = (await self._session.scalars(chosen)).all()
        expired = []
        for row in rows:
            ended_at = row.plan_expires_at
            row.plan, row.plan_expires_at, row.updated_at = "free", None, now
            row.version += 1
            expired.append((row.id, ended_at or now, row.version))
        return expired


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None takes all."""

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
        """Adds an entry."""
        self._session.add(entry)

    async def page(self, wanted: AuditFilter, *, offset: int, limit: int) -> tuple[Sequence[AuditEntry], int]:
        """Entries, newest first, and how many there are in all."""
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
        # Other services tell of what was done a moment ago.
        return await _page(self._session, chosen, AuditEntry.at, AuditEntry.id, offset=offset, limit=limit)

    async def count(self, action: str, since: datetime) -> int:
        """How often something was done since a time."""
        chosen = select(func.count()).where(AuditEntry.action == action, AuditEntry.at > since)
        return await self._session.scalar(chosen) or 0

    async def busiest_addresses(self, action: str, since: datetime, limit: int) -> Sequence[tuple[str, int]]:
        """From where something was done most often since a time."""
        times = func.count()
        chosen = (
            select(AuditEntry.client_address, times)
            .where(AuditEntry.action == action, AuditEntry.at > since)
            .group_by(AuditEntry.client_address)
            .order_by(times.desc(), AuditEntry.client_address)
            .limit(limit)
        )
        return [(address, number) for address, number in await self._session.execute(chosen)]

    async def forget_person(self, user_id: str) -> None:
        """Forgets where somebody was, what was tried in their name included, and why their points were adjusted."""
        mine = (AuditEntry.actor_id == user_id) | (AuditEntry.actor_id.is_(None) & (AuditEntry.target_id == user_id))
        await self._session.execute(update(AuditEntry).where(mine).values(client_address=""))
        adjusted = (AuditEntry.action == POINTS_ADJUSTED) & (AuditEntry.target_id == user_id)
        await self._session.execute(update(AuditEntry).where(adjusted).values(details="{}"))

    async def forget(self, before: datetime) -> None:
        """Removes what is older than it is kept."""
        await self._session.execute(delete(AuditEntry).where(AuditEntry.at < before))


class AlertRepository:
    """Alerts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def raise_once(self, kind: str, body: str, now: datetime, not_since: datetime) -> bool:
        """Raises an alert, unless one of its kind was raised after a time; whether it did. One of many at once does."""
        values = {"raised_at": now, "body": body, "attempts": 0, "next_attempt_at": now}
        statement = (
            _insert(self._session, Alert)
            .values(kind=kind, **values)
            .on_conflict_do_update(index_elements=["kind"], set_=values, where=Alert.raised_at <= not_since)
            .returning(Alert.kind)
        )
        return await self._session.scalar(statement) is not None

    async def due(self, now: datetime) -> Alert | None:
        """An alert that is to be delivered now; it is this transaction's."""
        chosen = select(Alert).where(Alert.next_attempt_at <= now).limit(1).with_for_update(skip_locked=True)
        return await self._session.scalar(chosen)

    async def settle(self, kind: str, raised_at: datetime) -> None:
        """Notes that an alert was delivered."""
        statement = update(Alert).where(Alert.kind == kind, Alert.raised_at == raised_at).values(next_attempt_at=None)
        await self._session.execute(statement)


def _insert(session: AsyncSession, table: type[AccountChange | Alert | Instance]) -> Any:
    return (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(table)
