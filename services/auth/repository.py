"""All SQL of auth."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import RefreshToken, User


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

    async def by_login(self, login_key: str) -> User | None:
        """An account by its normalised login."""
        return await self._session.scalar(select(User).where(User.login_key == login_key))

    async def by_ids(self, ids: Sequence[str]) -> Sequence[User]:
        """Several accounts at once."""
        return (await self._session.scalars(select(User).where(User.id.in_(ids)))).all()

    async def exist(self) -> bool:
        """Whether there is any account."""
        return await self._session.scalar(select(User.id).limit(1)) is not None

    async def page(self, *, status: str | None, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Accounts, newest first, and how many there are in all."""
        chosen = select(User) if status is None else select(User).where(User.status == status)
        total = await self._session.scalar(select(func.count()).select_from(chosen.subquery()))
        rows = await self._session.scalars(chosen.order_by(User.id.desc()).offset(offset).limit(limit))
        return rows.all(), total or 0


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

    async def revoked_since(self, since: datetime) -> Sequence[str]:
        """Families voided at or after a time."""
        chosen = select(RefreshToken.family_id).where(RefreshToken.revoked_at >= since).distinct()
        return (await self._session.scalars(chosen)).all()

    async def forget_expired(self, before: datetime) -> None:
        """Removes tokens that nobody could use any more anyway."""
        await self._session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))
