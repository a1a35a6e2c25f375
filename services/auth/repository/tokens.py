"""SQL of refresh tokens, and of the changes that void access tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import (
    AccountChange,
    RefreshToken,
)
from services.auth.repository.statements import insert


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

    async def delete_expired(self, before: datetime) -> None:
        """Removes tokens that nobody could use any more anyway."""
        await self._session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))


class AccountChangeRepository:
    """Changes that others must learn of."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, user_id: str, claims_version: int, now: datetime) -> None:
        """Notes a change; a later one takes the place of an earlier one."""
        values = {"claims_version": claims_version, "changed_at": now}
        statement = insert(self._session, AccountChange).values(user_id=user_id, **values)
        await self._session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))

    async def since(self, since: datetime) -> dict[str, int]:
        """The least version that holds of each account that changed at or after a time."""
        chosen = select(AccountChange.user_id, AccountChange.claims_version).where(AccountChange.changed_at >= since)
        return {row.user_id: row.claims_version for row in await self._session.execute(chosen)}

    async def delete_before(self, before: datetime) -> None:
        """Removes what no token that is still alive can be older than."""
        await self._session.execute(delete(AccountChange).where(AccountChange.changed_at < before))
