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
        statement = insert(self._session, Instance).values(row=self._ROW, name=name, device_key=device_key)
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

    async def get_for_update(self, user_id: str) -> User | None:
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

    async def lock_existing(self, ids: Collection[str]) -> Collection[str]:
        """Those of several accounts that there are; none of them is erased until the transaction ends.

        Locks them in the order in which administrators who erase one another are locked, so that nobody waits in a
        circle.
        """
        can_act = (User.role == "admin") & (User.status == "active")
        chosen = select(User.id).where(User.id.in_(ids)).order_by(can_act.desc(), User.id)
        return (await self._session.scalars(chosen.with_for_update(read=True))).all()

    async def any_exist(self) -> bool:
        """Whether there is any account."""
        return await self._session.scalar(select(User.id).limit(1)) is not None

    async def page(self, wanted: UserFilter, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Accounts, newest first, and how many there are in all."""
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
        """Keeps a better hash of the same password, unless another one was chosen meanwhile."""
        statement = update(User).where(User.id == user_id, User.password_hash == old).values(password_hash=new)
        await self._session.execute(statement)

    async def remove(self, user: User) -> None:
        """Removes an account with its refresh tokens and reset code."""
        await self._session.delete(user)
        await self._session.flush()


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
