"""Use cases of administrators: find, approve and suspend accounts, change rights, issue codes for lost passwords."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.db.database import Database
from marquee.events.v1 import user_pb2
from services.auth.domain import Role
from services.auth.models import User
from services.auth.repository import PasswordResetRepository, UserFilter, UserRepository
from services.auth.service.accounts import normalise_code, set_corporation, set_display_name
from services.auth.service.common import (
    Actor,
    digest,
    end_logins,
    invalidate_tokens,
    lock_user,
    require_another_admin,
    touch,
    user_event,
    write_audit,
)

_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without letters and digits that look like others."""
_CODE_GROUPS, _CODE_GROUP = 5, 5
"""25 letters of 30: 122 bits, too many to guess."""


@dataclass(frozen=True, slots=True)
class UserChange:
    """Changes of an account by an administrator; None leaves a field as it is."""

    display_name: str | None = None
    role: Role | None = None
    moves: bool = False
    """Whether the corporation is changed, to `corporation_id`."""
    corporation_id: str | None = None
    """None for the platform itself."""


@dataclass(frozen=True, slots=True)
class ResetCode:
    """A one-time code to choose a new password with, as it is shown once."""

    code: str
    expires_at: datetime


class Administration:
    """What administrators do with accounts of other users.

    Args:
        database: auth's database.
        reset_ttl_sec: lifetime of a code for a lost password, in seconds.
        clock: returns the time.
    """

    def __init__(self, database: Database, *, reset_ttl_sec: int, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._reset_ttl_sec = reset_ttl_sec
        self._clock = clock

    async def page(self, wanted: UserFilter, *, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Return accounts, newest first, and their total number."""
        async with self._database.read() as session:
            return await UserRepository(session).page(wanted, offset=offset, limit=limit)

    async def approve(self, user_id: str, actor: Actor) -> User:
        """Activate a pending or suspended account; approving twice changes nothing.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            # Locked: of two concurrent administrators, one approves.
            user = await lock_user(transaction, user_id)
            if user.status != "active":
                before, user.status = user.status, "active"
                touch(user, now)
                await transaction.record(user_event(user_pb2.UserApproved(user_id=user.id), user))
                write_audit(transaction, "user.approved", actor, ("user", user.id), now, before=before)
        return user

    async def suspend(self, user_id: str, actor: Actor) -> User:
        """Suspend an account, everywhere within seconds; suspending twice changes nothing.

        Raises:
            ApiError: CONTENT_NOT_FOUND, or AUTH_LAST_ADMIN.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            await require_another_admin(transaction, user_id)
            user = await lock_user(transaction, user_id)
            if user.status != "suspended":
                before, user.status = user.status, "suspended"
                touch(user, now)
                ended = await end_logins(transaction, user, now)
                await invalidate_tokens(transaction, user, now)
                await transaction.record(user_event(user_pb2.UserSuspended(user_id=user.id), user))
                write_audit(
                    transaction, "user.suspended", actor, ("user", user.id), now, before=before, logins_ended=ended
                )
        return user

    async def change(self, user_id: str, change: UserChange, actor: Actor) -> User:
        """Change an account; tokens with its old rights are refused within seconds, the login sessions continue.

        Raises:
            ApiError: CONTENT_NOT_FOUND, AUTH_LAST_ADMIN, or VALIDATION_FAILED for an unknown corporation.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            if change.role == "member":
                await require_another_admin(transaction, user_id)
            user = await lock_user(transaction, user_id)
            rights = (user.role, user.corporation_id)
            changed = []
            if change.display_name is not None and set_display_name(user, change.display_name):
                changed.append("display_name")
            if change.role is not None and change.role != user.role:
                user.role = change.role
                changed.append("role")
            if change.moves and change.corporation_id != user.corporation_id:
                await set_corporation(transaction, user, change.corporation_id)
                changed.append("corporation_id")
            if changed:
                touch(user, now)
                write_audit(
                    transaction,
                    "user.changed",
                    actor,
                    ("user", user.id),
                    now,
                    changed=changed,
                    role=user.role,
                    corporation_id=user.corporation_id,
                )
            if rights != (user.role, user.corporation_id):
                await invalidate_tokens(transaction, user, now)
        return user

    async def issue_reset_code(self, user_id: str, actor: Actor) -> ResetCode:
        """Issue a one-time code to choose a new password with; it replaces the previous code.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        groups = ("".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_GROUP)) for _ in range(_CODE_GROUPS))
        code = "-".join(groups)
        now = self._clock()
        expires_at = now + timedelta(seconds=self._reset_ttl_sec)
        async with self._database.write() as transaction:
            user = await lock_user(transaction, user_id)
            await PasswordResetRepository(transaction.session).put(user.id, digest(normalise_code(code)), expires_at)
            write_audit(transaction, "password.reset_issued", actor, ("user", user.id), now)
        return ResetCode(code, expires_at)
