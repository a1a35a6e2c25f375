"""Use cases of auth. Each opens its own transaction; hashing happens outside of it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog
from kit.db import Database, Transaction
from kit.errors import ApiError
from kit.events import Event
from kit.ids import new_id
from google.protobuf.message import Message
from marquee.events.v1 import user_pb2
from sqlalchemy.exc import IntegrityError

from services.auth.attempts import LoginAttempts
from services.auth.domain import RefreshState, Status, judge_refresh, login_key, status_of_new_account
from services.auth.keys import SigningKeys
from services.auth.models import RefreshToken, User
from services.auth.passwords import PasswordHasher
from services.auth.repository import RefreshTokenRepository, UserRepository

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login or a refresh gives."""

    user: User
    access_token: str
    access_ttl_sec: int
    refresh_token: str
    refresh_ttl_sec: int


class Accounts:
    """Making, finding and approving accounts."""

    def __init__(self, database: Database, hasher: PasswordHasher) -> None:
        self._database = database
        self._hasher = hasher

    async def register(
        self,
        *,
        login_id: str,
        password: str,
        display_name: str,
        registration: Literal["open", "approval", "closed"],
    ) -> User:
        """Makes a member's account.

        Raises:
            ApiError: AUTH_REGISTRATION_CLOSED, or AUTH_LOGIN_TAKEN.
        """
        if registration == "closed":
            raise ApiError("AUTH_REGISTRATION_CLOSED")
        password_hash = await self._hasher.hash(password)
        user = _new_user(login_id, display_name, password_hash, "member", status_of_new_account(registration))
        try:
            async with self._database.write() as transaction:
                await _add(transaction, user)
        except IntegrityError as error:
            raise ApiError("AUTH_LOGIN_TAKEN") from error
        return user

    async def ensure_first_admin(self, login_id: str, password: str) -> bool:
        """Makes the administrator when there are no accounts at all; whether it did."""
        password_hash = await self._hasher.hash(password)
        user = _new_user(login_id, login_id, password_hash, "admin", "active")
        try:
            async with self._database.write() as transaction:
                if await UserRepository(transaction.session).exist():
                    return False
                await _add(transaction, user)
        except IntegrityError:
            # Another replica started at the same moment.
            return False
        log.info("first_admin_made", user_id=user.id)
        return True

    async def exist(self) -> bool:
        """Whether there is any account."""
        async with self._database.read() as session:
            return await UserRepository(session).exist()

    async def get(self, user_id: str) -> User:
        """An account.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        async with self._database.read() as session:
            user = await UserRepository(session).get(user_id)
        if user is None:
            raise ApiError("CONTENT_NOT_FOUND")
        return user

    async def by_ids(self, ids: Sequence[str]) -> Sequence[User]:
        """Several accounts at once; unknown ids are left out."""
        async with self._database.read() as session:
            return await UserRepository(session).by_ids(ids)

    async def page(self, *, status: str | None, offset: int, limit: int) -> tuple[Sequence[User], int]:
        """Accounts, newest first, and how many there are in all."""
        async with self._database.read() as session:
            return await UserRepository(session).page(status=status, offset=offset, limit=limit)

    async def approve(self, user_id: str) -> User:
        """Lets a pending account in; approving twice changes nothing.

        Raises:
            ApiError: CONTENT_NOT_FOUND.
        """
        async with self._database.write() as transaction:
            user = await UserRepository(transaction.session).get(user_id)
            if user is None:
                raise ApiError("CONTENT_NOT_FOUND")
            if user.status == "pending":
                user.status = "active"
                user.version += 1
                user.updated_at = datetime.now(UTC)
                await transaction.record(_event("user.approved", user_pb2.UserApproved(user_id=user.id), user))
        return user


class Logins:
    """Proving who one is, and staying logged in."""

    def __init__(
        self,
        database: Database,
        hasher: PasswordHasher,
        keys: SigningKeys,
        attempts: LoginAttempts,
        *,
        access_ttl_sec: int,
        refresh_ttl_sec: int,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._keys = keys
        self._attempts = attempts
        self._access_ttl_sec = access_ttl_sec
        self._refresh_ttl_sec = refresh_ttl_sec

    async def verify(self, login_id: str, password: str, client_address: str) -> User:
        """The account that a login and password belong to.

        Raises:
            ApiError: AUTH_INVALID_CREDENTIALS, AUTH_USER_PENDING, AUTH_USER_SUSPENDED, AUTH_RATE_LIMITED, or
                SERVICE_UNAVAILABLE when attempts can't be counted.
        """
        key = login_key(login_id)
        await self._attempts.require_room(key, client_address)
        async with self._database.read() as session:
            user = await UserRepository(session).by_login(key)
        if not await self._hasher.verify(password, user.password_hash if user else None) or user is None:
            await self._attempts.failed(key, client_address)
            await self._record_failure(key, client_address)
            raise ApiError("AUTH_INVALID_CREDENTIALS")
        if user.status == "pending":
            raise ApiError("AUTH_USER_PENDING")
        if user.status != "active":
            raise ApiError("AUTH_USER_SUSPENDED")
        return user

    async def log_in(self, login_id: str, password: str, client_address: str) -> TokenPair:
        """Begins a new family of tokens. Raises what `verify` raises."""
        user = await self.verify(login_id, password, client_address)
        now = datetime.now(UTC)
        async with self._database.write() as transaction:
            tokens = RefreshTokenRepository(transaction.session)
            await tokens.forget_expired(now)
            pair, _ = self._issue(tokens, user, new_id(), now)
            message = user_pb2.LoginSucceeded(user_id=user.id, client_address=client_address)
            await transaction.record(_event("auth.login_succeeded", message, user))
        return pair

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Trades a refresh token for a new pair.

        Raises:
            ApiError: AUTH_INVALID_TOKEN when it is unknown, revoked or was used before (then its whole family is void),
                AUTH_TOKEN_EXPIRED, AUTH_USER_SUSPENDED.
        """
        now = datetime.now(UTC)
        async with self._database.write() as transaction:
            outcome = await self._rotate(transaction, _digest(refresh_token), now)
        if isinstance(outcome, ApiError):
            # Raised only here: the revocation of a stolen family must be committed, not rolled back.
            raise outcome
        return outcome

    async def log_out(self, user_id: str, session_id: str) -> None:
        """Voids the refresh tokens of one login; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await self._revoke(transaction, user_id, session_id, datetime.now(UTC))

    def jwks(self) -> dict[str, object]:
        """The keys that verify access tokens."""
        return self._keys.jwks()

    async def _rotate(self, transaction: Transaction, token_hash: str, now: datetime) -> TokenPair | ApiError:
        tokens = RefreshTokenRepository(transaction.session)
        token = await tokens.locked(token_hash)
        if token is None:
            return ApiError("AUTH_INVALID_TOKEN")
        state = RefreshState(
            expires_at=token.expires_at,
            used_at=token.used_at,
            family_revoked=token.revoked_at is not None,
            is_latest_predecessor=(
                token.replaced_by is not None and await tokens.newest_hash(token.family_id) == token.replaced_by
            ),
        )
        verdict = judge_refresh(state, now)
        if verdict == "expired":
            return ApiError("AUTH_TOKEN_EXPIRED")
        if verdict == "reused":
            await self._revoke(transaction, token.user_id, token.family_id, now)
            return ApiError("AUTH_INVALID_TOKEN")
        user = await UserRepository(transaction.session).get(token.user_id)
        if user is None or user.status != "active":
            return ApiError("AUTH_USER_SUSPENDED")
        pair, replacement = self._issue(tokens, user, token.family_id, now)
        token.used_at = now
        token.replaced_by = replacement
        return pair

    def _issue(
        self, tokens: RefreshTokenRepository, user: User, family_id: str, now: datetime
    ) -> tuple[TokenPair, str]:
        secret = secrets.token_urlsafe(32)
        token_hash = _digest(secret)
        tokens.add(
            RefreshToken(
                token_hash=token_hash,
                family_id=family_id,
                user_id=user.id,
                issued_at=now,
                expires_at=now + timedelta(seconds=self._refresh_ttl_sec),
            )
        )
        pair = TokenPair(
            user=user,
            access_token=self._keys.mint(user, family_id, self._access_ttl_sec),
            access_ttl_sec=self._access_ttl_sec,
            refresh_token=secret,
            refresh_ttl_sec=self._refresh_ttl_sec,
        )
        return pair, token_hash

    async def _revoke(self, transaction: Transaction, user_id: str, family_id: str, now: datetime) -> None:
        if await RefreshTokenRepository(transaction.session).revoke_family(family_id, now):
            message = user_pb2.TokenRevoked(user_id=user_id, family_id=family_id)
            await transaction.record(
                Event.of("auth.token_revoked", message, source="auth", subject=family_id)
            )

    async def _record_failure(self, key: str, client_address: str) -> None:
        message = user_pb2.LoginFailed(login_id=key, client_address=client_address, code="AUTH_INVALID_CREDENTIALS")
        async with self._database.write() as transaction:
            await transaction.record(Event.of("auth.login_failed", message, source="auth", subject=key[:100]))


def _new_user(login_id: str, display_name: str, password_hash: str, role: str, status: Status) -> User:
    now = datetime.now(UTC)
    return User(
        id=new_id(),
        login_id=login_id,
        login_key=login_key(login_id),
        display_name=display_name,
        password_hash=password_hash,
        role=role,
        status=status,
        created_at=now,
        updated_at=now,
        version=1,
    )


async def _add(transaction: Transaction, user: User) -> None:
    UserRepository(transaction.session).add(user)
    message = user_pb2.UserRegistered(user_id=user.id, login_id=user.login_id, status=user.status)
    await transaction.record(_event("user.registered", message, user))


def _event(type_: str, message: Message, user: User) -> Event:
    return Event.of(type_, message, source="auth", subject=user.id, version=user.version)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
