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
        """Add a token."""
        self._session.add(token)

    async def owner(self, token_hash: str) -> str | None:
        """Return the account that a token belongs to. Lock that account before reading or changing its tokens."""
        return await self._session.scalar(select(RefreshToken.user_id).where(RefreshToken.token_hash == token_hash))

    async def get(self, token_hash: str) -> RefreshToken | None:
        """Return a token."""
        return await self._session.get(RefreshToken, token_hash)

    async def usable(self, user_id: str, now: datetime, limit: int) -> Sequence[RefreshToken]:
        """Return the usable token of each login session of an account, the last issued first."""
        chosen = (
            select(RefreshToken)
            .where(
                RefreshToken.user_id == user_id,
                RefreshToken.used_at.is_(None),
                RefreshToken.revoked_at.is_(None),
                RefreshToken.expires_at > now,
            )
            .order_by(RefreshToken.issued_at.desc(), RefreshToken.family_id.desc())
            .limit(limit)
        )
        return (await self._session.scalars(chosen)).all()

    async def owner_of_family(self, family_id: str) -> str | None:
        """Return the account that a login session belongs to."""
        chosen = select(RefreshToken.user_id).where(RefreshToken.family_id == family_id).limit(1)
        return await self._session.scalar(chosen)

    async def revoke_family(self, family_id: str, now: datetime) -> int:
        """Revoke all tokens of one login session; return how many were still valid."""
        statement = (
            update(RefreshToken)
            .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(RefreshToken.token_hash)
        )
        return len((await self._session.execute(statement)).all())

    async def revoke_all(self, user_id: str, now: datetime, *, but: str = "") -> Sequence[str]:
        """Revoke all tokens of an account except those of one login session; return the login sessions that ended."""
        statement = (
            update(RefreshToken)
            .where(RefreshToken.user_id == user_id, RefreshToken.family_id != but, RefreshToken.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(RefreshToken.family_id)
        )
        return sorted(set((await self._session.execute(statement)).scalars()))

    async def revoked_since(self, since: datetime) -> Sequence[str]:
        """Return the families that were revoked at or after a time."""
        chosen = select(RefreshToken.family_id).where(RefreshToken.revoked_at >= since).distinct()
        return (await self._session.scalars(chosen)).all()

    async def delete_expired(self, before: datetime) -> None:
        """Remove tokens that expired before a time."""
        await self._session.execute(delete(RefreshToken).where(RefreshToken.expires_at < before))


class AccountChangeRepository:
    """Changes of accounts that void their access tokens."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def put(self, user_id: str, claims_version: int, now: datetime) -> None:
        """Store a change; it replaces an earlier one of the account."""
        values = {"claims_version": claims_version, "changed_at": now}
        statement = insert(self._session, AccountChange).values(user_id=user_id, **values)
        await self._session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))

    async def since(self, since: datetime) -> dict[str, int]:
        """Return the lowest valid version of each account that changed at or after a time."""
        chosen = select(AccountChange.user_id, AccountChange.claims_version).where(AccountChange.changed_at >= since)
        return {row.user_id: row.claims_version for row in await self._session.execute(chosen)}

    async def delete_before(self, before: datetime) -> None:
        """Remove changes from before a time."""
        await self._session.execute(delete(AccountChange).where(AccountChange.changed_at < before))
