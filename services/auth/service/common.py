"""Shared by the use cases: the actor, events, audit entries, row locks and the end of tokens and logins."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import Message

from kit.db.database import Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.events.envelope import Event
from kit.ids import is_id, new_id
from marquee.events.v1 import user_pb2
from services.auth.credentials.passwords import common_passwords
from services.auth.domain import password_problem
from services.auth.models import AuditEntry, User
from services.auth.repository import (
    AccountChangeRepository,
    AuditRepository,
    RefreshTokenRepository,
    UserRepository,
)

SOURCE = "auth"
MAX_ADDRESS_CHARS = 64


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is calling, and from which address."""

    user_id: str | None = None
    """None for the system and for unauthenticated clients."""
    address: str = ""


SYSTEM = Actor()


def digest(secret: str) -> str:
    """Return the hash under which a random secret is stored; unsuitable for passwords, which can be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def user_event(message: Message, user: User) -> Event:
    """Return an event about an account."""
    return Event.of(message, source=SOURCE, subject=user.id, version=user.version)


def require_good_password(password: str, login_id: str, field: str = "password") -> None:
    """Check a new password.

    Raises:
        ApiError: VALIDATION_FAILED.
    """
    if problem := password_problem(password, login_id, common_passwords()):
        raise invalid_field(field, problem)


def write_audit(
    transaction: Transaction,
    action: str,
    actor: Actor,
    target: tuple[str, str | None],
    now: datetime,
    **details: str | int | list[str] | None,
) -> None:
    """Write an entry into the audit log, in the transaction of the action.

    Args:
        transaction: the transaction of the action.
        action: the action, `<noun>.<past participle>`.
        actor: who did it.
        target: kind and id of what it was done to.
        now: time of the action.
        details: more, for people. No secrets and no personal data that would have to be erased with an account.
    """
    AuditRepository(transaction.session).add(
        AuditEntry(
            id=new_id(),
            at=now,
            action=action,
            actor_id=actor.user_id,
            target_kind=target[0],
            target_id=target[1],
            client_address=actor.address[:MAX_ADDRESS_CHARS],
            details=json.dumps(details, ensure_ascii=False),
        )
    )


async def lock_user(transaction: Transaction, user_id: str) -> User:
    """Return an account, locked until the transaction ends.

    Raises:
        ApiError: CONTENT_NOT_FOUND.
    """
    user = await UserRepository(transaction.session).get_for_update(user_id) if is_id(user_id) else None
    if user is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return user


def touch(user: User, now: datetime) -> None:
    """Count a change of an account."""
    user.version += 1
    user.updated_at = now


async def invalidate_tokens(transaction: Transaction, user: User, now: datetime) -> None:
    """Make every replica refuse an account's current access tokens; its login sessions continue with fresh tokens."""
    user.claims_version += 1
    await AccountChangeRepository(transaction.session).put(user.id, user.claims_version, now)
    message = user_pb2.TokenRevoked(user_id=user.id, claims_version=user.claims_version)
    await transaction.record(user_event(message, user))


async def end_logins(transaction: Transaction, user: User, now: datetime, *, but: str = "") -> int:
    """End all login sessions of an account but one; return how many. Replicas also verify Basic credentials again."""
    families = await RefreshTokenRepository(transaction.session).revoke_all(user.id, now, but=but)
    for family_id in families:
        message = user_pb2.TokenRevoked(user_id=user.id, family_id=family_id)
        await transaction.record(Event.of(message, source=SOURCE, subject=family_id))
    await AccountChangeRepository(transaction.session).put(user.id, user.claims_version, now)
    return len(families)


async def require_another_admin(transaction: Transaction, user_id: str) -> None:
    """Check that another active administrator remains. Call it before locking the account itself.

    Raises:
        ApiError: AUTH_LAST_ADMIN.
    """
    admins = await UserRepository(transaction.session).lock_active_admins()
    if list(admins) == [user_id]:
        raise ApiError(ErrorCode.AUTH_LAST_ADMIN)
