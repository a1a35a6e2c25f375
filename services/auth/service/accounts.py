"""Use cases of account owners: create an account, change it, choose a new password, delete it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

import structlog
from sqlalchemy.exc import IntegrityError

from kit.auth.tokens import Caller
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id, new_id
from marquee.events.v1 import user_pb2
from services.auth.credentials.login_attempts import LoginAttempts
from services.auth.credentials.passwords import PasswordHasher
from services.auth.domain import Role, Status, initial_status, login_key, searchable
from services.auth.models import User
from services.auth.repository import (
    AccountChangeRepository,
    AuditRepository,
    CorporationRepository,
    PasswordResetRepository,
    UserRepository,
)
from services.auth.service.common import (
    SYSTEM,
    Actor,
    digest,
    end_logins,
    lock_user,
    require_another_admin,
    require_good_password,
    touch,
    user_event,
    write_audit,
)

log = structlog.get_logger()

DELETED_VERSION = 1 << 62
"""The claims version of a deleted account: higher than that of any token."""


class Accounts:
    """Create and find accounts; change one's own account."""

    def __init__(
        self, database: Database, hasher: PasswordHasher, attempts: LoginAttempts, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._attempts = attempts
        self._clock = clock

    async def register(
        self,
        *,
        login_id: str,
        password: str,
        display_name: str,
        registration: Literal["open", "approval", "closed"],
        actor: Actor,
    ) -> User:
        """Create a member's account by registration.

        Raises:
            ApiError: AUTH_REGISTRATION_CLOSED, VALIDATION_FAILED for a bad password, or AUTH_LOGIN_TAKEN.
        """
        if registration == "closed":
            raise ApiError(ErrorCode.AUTH_REGISTRATION_CLOSED)
        return await self.make(
            login_id=login_id,
            password=password,
            display_name=display_name,
            role="member",
            status=initial_status(registration),
            corporation_id=None,
            actor=actor,
        )

    async def make(
        self,
        *,
        login_id: str,
        password: str,
        display_name: str,
        role: Role,
        status: Status,
        corporation_id: str | None,
        actor: Actor,
    ) -> User:
        """Create an account of any role.

        Raises:
            ApiError: VALIDATION_FAILED for a bad password or an unknown corporation, or AUTH_LOGIN_TAKEN.
        """
        require_good_password(password, login_id)
        password_hash = await self._hasher.hash(password)
        now = self._clock()
        user = _new_user(login_id, display_name, password_hash, role, status, now)
        try:
            async with self._database.write() as transaction:
                await set_corporation(transaction, user, corporation_id)
                await _add(transaction, user, actor, now)
        except IntegrityError as error:
            raise ApiError(ErrorCode.AUTH_LOGIN_TAKEN) from error
        return user

    async def ensure_first_admin(self, login_id: str, password: str) -> bool:
        """Create the administrator if there are no accounts at all; return whether it was created."""
        password_hash = await self._hasher.hash(password)
        now = self._clock()
        user = _new_user(login_id, login_id, password_hash, "admin", "active", now)
        try:
            async with self._database.write() as transaction:
                if await UserRepository(transaction.session).any_exist():
                    return False
                await _add(transaction, user, SYSTEM, now)
        except IntegrityError:
            # Another replica started at the same moment.
            return False
        log.info("first_admin_made", user_id=user.id)
        return True

    async def any_exist(self) -> bool:
        """Return whether there is any account."""
        async with self._database.read() as session:
            return await UserRepository(session).any_exist()

    async def get(self, user_id: str) -> User:
        """Return an account.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        async with self._database.read() as session:
            user = await UserRepository(session).get(user_id) if is_id(user_id) else None
        if user is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return user

    async def by_ids(self, ids: Sequence[str]) -> Sequence[User]:
        """Return several accounts; unknown ids are left out."""
        async with self._database.read() as session:
            return await UserRepository(session).by_ids([id_ for id_ in ids if is_id(id_)])

    async def rename(self, user_id: str, display_name: str) -> User:
        """Change an account's display name.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        async with self._database.write() as transaction:
            user = await lock_user(transaction, user_id)
            if set_display_name(user, display_name):
                touch(user, self._clock())
        return user

    async def change_password(self, caller: Caller, current: str, new: str, address: str) -> User:
        """Set a new password, and end every other login session of the account.

        Raises:
            ApiError: AUTH_WRONG_PASSWORD, VALIDATION_FAILED for a bad new one, AUTH_RATE_LIMITED, SERVICE_UNAVAILABLE
                when attempts can't be counted, or CONTENT_NOT_FOUND.
        """
        before = await self.get(caller.user_id)
        require_good_password(new, before.login_id, "new_password")
        # A login session belongs to the account, as a known device does; Basic credentials have no login session.
        device = caller.login_session_id or None
        async with self._attempts.limit_concurrency(address, device):
            await self._attempts.check_limits(before.login_key, address, device)
            if not await self._hasher.verify(current, before.password_hash):
                await self._attempts.record_failure(before.login_key, address, device)
                raise ApiError(ErrorCode.AUTH_WRONG_PASSWORD)
        password_hash = await self._hasher.hash(new)
        now = self._clock()
        actor = Actor(caller.user_id, address)
        async with self._database.write() as transaction:
            user = await lock_user(transaction, caller.user_id)
            if user.password_version != before.password_version:
                # The password was changed while this one was verified, so the verification is outdated.
                raise ApiError(ErrorCode.AUTH_WRONG_PASSWORD)
            await set_password(transaction, user, password_hash, now)
            ended = await end_logins(transaction, user, now, but=caller.login_session_id)
            write_audit(transaction, "password.changed", actor, ("user", user.id), now, logins_ended=ended)
        return user

    async def reset_password(self, code: str, new: str, address: str) -> None:
        """Set a new password with a code from an administrator; end the code and every login session.

        Raises:
            ApiError: AUTH_RESET_CODE_INVALID, VALIDATION_FAILED for a bad password, AUTH_RATE_LIMITED, or
                SERVICE_UNAVAILABLE when attempts can't be counted.
        """
        code_hash = digest(normalise_code(code))
        async with self._attempts.limit_concurrency(address):
            await self._attempts.check_limits(None, address)
            async with self._database.read() as session:
                user_id = await PasswordResetRepository(session).owner(code_hash, self._clock())
            if user_id is None:
                await self._attempts.record_failure(None, address)
                raise ApiError(ErrorCode.AUTH_RESET_CODE_INVALID)
        require_good_password(new, (await self.get(user_id)).login_id)
        password_hash = await self._hasher.hash(new)
        now = self._clock()
        async with self._database.write() as transaction:
            user = await UserRepository(transaction.session).get_for_update(user_id)
            resets = PasswordResetRepository(transaction.session)
            # Checked again under the lock: of concurrent requests with one code, a single one succeeds.
            if user is None or await resets.owner(code_hash, now) != user_id:
                raise ApiError(ErrorCode.AUTH_RESET_CODE_INVALID)
            await set_password(transaction, user, password_hash, now)
            ended = await end_logins(transaction, user, now)
            write_audit(
                transaction, "password.reset", Actor(user.id, address), ("user", user.id), now, logins_ended=ended
            )

    async def erase(self, user_id: str, actor: Actor) -> None:
        """Delete an account and all personal data of its user here, and have the other services do the same.

        The audit log stays, with actions that carry no name, no address and the id of an account that is gone.

        Raises:
            ApiError: CONTENT_NOT_FOUND, or AUTH_LAST_ADMIN.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            await require_another_admin(transaction, user_id)
            user = await lock_user(transaction, user_id)
            touch(user, now)
            await end_logins(transaction, user, now)
            await AccountChangeRepository(transaction.session).put(user.id, DELETED_VERSION, now)
            revoked = user_pb2.TokenRevoked(user_id=user.id, claims_version=DELETED_VERSION)
            await transaction.record(user_event(revoked, user))
            await transaction.record(user_event(user_pb2.UserDeleted(user_id=user.id), user))
            write_audit(transaction, "user.deleted", actor, ("user", user.id), now)
            await transaction.session.flush()
            await AuditRepository(transaction.session).erase_person(user.id)
            await UserRepository(transaction.session).remove(user)


def normalise_code(code: str) -> str:
    """Return a reset code in the form in which it was generated, however it was typed."""
    return "".join(letter for letter in code.upper() if letter.isalnum())


def set_display_name(user: User, display_name: str) -> bool:
    """Set an account's display name; return whether it changed."""
    if user.display_name == display_name:
        return False
    user.display_name = display_name
    user.search_text = searchable(user.login_id, display_name)
    return True


async def set_corporation(transaction: Transaction, user: User, corporation_id: str | None) -> None:
    """Make an account a member of a corporation, or of none.

    Raises:
        ApiError: VALIDATION_FAILED when there is no such corporation.
    """
    if corporation_id is not None and not (
        is_id(corporation_id) and await CorporationRepository(transaction.session).lock_existing(corporation_id)
    ):
        raise invalid_field("corporation_id", "there is no such corporation")
    user.corporation_id = corporation_id


async def set_password(transaction: Transaction, user: User, password_hash: str, now: datetime) -> None:
    """Replace the password hash, and remove a reset code that could still change the password."""
    user.password_hash = password_hash
    user.password_version += 1
    touch(user, now)
    await PasswordResetRepository(transaction.session).remove(user.id)


def _new_user(login_id: str, display_name: str, password_hash: str, role: Role, status: Status, now: datetime) -> User:
    return User(
        id=new_id(),
        login_id=login_id,
        login_key=login_key(login_id),
        display_name=display_name,
        search_text=searchable(login_id, display_name),
        password_hash=password_hash,
        password_version=1,
        role=role,
        status=status,
        claims_version=1,
        created_at=now,
        updated_at=now,
        version=1,
    )


async def _add(transaction: Transaction, user: User, actor: Actor, now: datetime) -> None:
    UserRepository(transaction.session).add(user)
    message = user_pb2.UserRegistered(user_id=user.id, login_id=user.login_id, status=user.status)
    await transaction.record(user_event(message, user))
    write_audit(transaction, "user.registered", actor, ("user", user.id), now, role=user.role, status=user.status)
