"""SQL of accounts, their reset codes and the installation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import (
    Instance,
    PasswordReset,
    User,
)
from services.auth.repository.statements import ESCAPE, containing, get_page, insert, split_words


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Conditions on accounts; None matches all."""

    query: str | None = None
    """Words of the login or the display name, in the form that `domain.searchable` gives."""
    status: str | None = None
    role: str | None = None
    corporation_id: str | None = None


class InstanceRepository:
    """The identity of this installation."""

    _ROW = 1

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self) -> Instance | None:
        """Return the installation's row; None before the first start."""
        return await self._session.get(Instance, self._ROW)

    async def add_if_absent(self, name: str, device_key: str) -> None:
        """Write the row, unless another replica has done so."""
        statement = insert(self._session, Instance).values(row=self._ROW, name=name, device_key=device_key)
        await self._session.execute(statement.on_conflict_do_nothing(index_elements=["row"]))


class UserRepository:
    """Accounts."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, user: User) -> None:
        """Add an account."""
        self._session.add(user)

    async def get(self, user_id: str) -> User | None:
        """Return an account by id."""
        return await self._session.get(User, user_id)

    async def get_for_update(self, user_id: str) -> User | None:
        """Return an account, locked until the transaction ends; the lock also guards its refresh tokens."""
        return await self._session.get(User, user_id, populate_existing=True, with_for_update={"key_share": True})

    async def lock_active_admins(self) -> Sequence[str]:
        """Return the ids of the active administrators, locked until the transaction ends.

        Lock them before the account that is to change: always in one order, so that no deadlock arises.
        """
        chosen = select(User.id).where(User.role == "admin", User.status == "active").order_by(User.id)
        return (await self._session.scalars(chosen.with_for_update(key_share=True))).all()

    async def by_login(self, login_key: str) -> User | None:
        """Return an account by its normalised login."""
        return await self._session.scalar(select(User).where(User.login_key == login_key))

    async def by_ids(self, ids: Sequence[str]) -> Sequence[User]:
        """Return several accounts."""
        return (await self._session.scalars(select(User).where(User.id.in_(ids)))).all()

    async def lock_existing(self, ids: Collection[str]) -> Collection[str]:
        """Return which of several accounts exist, locked against erasure until the transaction ends.

        They are locked in the same order as administrators who erase one another, so that no deadlock arises.
        """
        can_act = (User.role == "admin") & (User.status == "active")
        chosen = select(User.id).where(User.id.in_(ids)).order_by(can_act.desc(), User.id)
        return (await self._session.scalars(chosen.with_for_update(read=True))).all()

    async def any_exist(self) -> bool:
        """Return whether there is any account."""
        return await self._session.scalar(select(User.id).limit(1)) is not None

    async def page(self, wanted: UserFilter, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Return accounts, newest first, and their total number."""
        chosen = select(User)
        for word in split_words(wanted.query):
            chosen = chosen.where(User.search_text.like(containing(word), escape=ESCAPE))
        for column, value in (
            (User.status, wanted.status),
            (User.role, wanted.role),
            (User.corporation_id, wanted.corporation_id),
        ):
            if value is not None:
                chosen = chosen.where(column == value)
        return await get_page(self._session, chosen, User.id, offset=offset, limit=limit)

    async def replace_hash(self, user_id: str, old: str, new: str) -> None:
        """Store a better hash of the same password, unless the password was changed meanwhile."""
        statement = update(User).where(User.id == user_id, User.password_hash == old).values(password_hash=new)
        await self._session.execute(statement)

    async def remove(self, user: User) -> None:
        """Remove an account with its refresh tokens and reset code."""
        await self._session.delete(user)
        await self._session.flush()


class PasswordResetRepository:
    """One-time codes to choose a new password with."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, user_id: str, code_hash: str, expires_at: datetime) -> None:
        """Store a code in place of the previous one."""
        await self.remove(user_id)
        self._session.add(PasswordReset(user_id=user_id, code_hash=code_hash, expires_at=expires_at))

    async def owner(self, code_hash: str, now: datetime) -> str | None:
        """Return the account that a valid code belongs to. Before acting on it, lock the account and check again."""
        chosen = select(PasswordReset.user_id).where(
            PasswordReset.code_hash == code_hash, PasswordReset.expires_at > now
        )
        return await self._session.scalar(chosen)

    async def remove(self, user_id: str) -> None:
        """Remove an account's code."""
        await self._session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
