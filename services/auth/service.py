"""Use cases of auth. Each opens its own transaction; hashing happens outside of it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog
from google.protobuf.message import Message
from sqlalchemy.exc import IntegrityError

from kit.auth_client import Revocations
from kit.db import Database, Transaction
from kit.errors import ApiError
from kit.events import Event
from kit.ids import is_id, new_id
from marquee.events.v1 import user_pb2
from services.auth.attempts import LoginAttempts
from services.auth.domain import (
    RefreshState,
    Status,
    judge_refresh,
    login_key,
    login_problem,
    status_of_new_account,
)
from services.auth.keys import SigningKeys
from services.auth.models import RefreshToken, User
from services.auth.passwords import PasswordHasher
from services.auth.repository import RefreshTokenRepository, UserRepository

log = structlog.get_logger()


COMMIT_MARGIN = timedelta(seconds=10)
"""A revocation may become visible so much later than the time that it carries."""


def utc_now() -> datetime:
    """The moment it is."""
    return datetime.now(UTC)


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
            return await UserRepository(session).by_ids([id_ for id_ in ids if is_id(id_)])

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
            # Locked: of two administrators at the same moment, one approves.
            user = await UserRepository(transaction.session).locked(user_id) if is_id(user_id) else None
            if user is None:
                raise ApiError("CONTENT_NOT_FOUND")
            if user.status == "pending":
                user.status = "active"
                user.version += 1
                user.updated_at = utc_now()
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
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._keys = keys
        self._attempts = attempts
        self._access_ttl_sec = access_ttl_sec
        self._refresh_ttl_sec = refresh_ttl_sec
        self._clock = clock

    async def verify(self, login_id: str, password: str, client_address: str) -> User:
        """The account that a login and password belong to.

        Raises:
            ApiError: AUTH_INVALID_CREDENTIALS, AUTH_USER_PENDING, AUTH_USER_SUSPENDED, AUTH_RATE_LIMITED, or
                SERVICE_UNAVAILABLE when attempts can't be counted.
        """
        key = login_key(login_id)
        async with self._attempts.turn(client_address):
            await self._attempts.require_room(key, client_address)
            user = await self._find(key)
            fits = await self._hasher.verify(password, user.password_hash if user else None)
            if not fits:
                await self._attempts.failed(key, client_address)
        if user is None or not fits:
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
        now = self._clock()
        async with self._database.write() as transaction:
            tokens = RefreshTokenRepository(transaction.session)
            await tokens.forget_expired(now)
            secret, family_id = secrets.token_urlsafe(32), new_id()
            pair = self._pair(user, secret, self._keep(tokens, user, secret, family_id, now), now)
            message = user_pb2.LoginSucceeded(user_id=user.id, client_address=client_address)
            await transaction.record(_event("auth.login_succeeded", message, user))
        return pair

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Trades a refresh token for a new pair.

        Raises:
            ApiError: AUTH_INVALID_TOKEN when it is unknown, revoked or was used before (then its whole family is void),
                AUTH_TOKEN_EXPIRED, AUTH_USER_SUSPENDED.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            outcome = await self._rotate(transaction, refresh_token, now)
        if isinstance(outcome, ApiError):
            # Raised only here: the revocation of a stolen family must be committed, not rolled back.
            raise outcome
        return outcome

    async def log_out(self, user_id: str, session_id: str) -> None:
        """Voids the refresh tokens of one login; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await UserRepository(transaction.session).locked(user_id)
            await self._revoke(transaction, user_id, session_id, self._clock())

    async def revocations(self, since: datetime | None) -> Revocations:
        """Logins ended since a time, or all whose access tokens may still be alive; and what to ask for next."""
        now = self._clock()
        oldest = now - timedelta(seconds=self._access_ttl_sec) - COMMIT_MARGIN
        async with self._database.read() as session:
            families = await RefreshTokenRepository(session).revoked_since(max(since, oldest) if since else oldest)
        return Revocations(families, {}, now - COMMIT_MARGIN)

    def jwks(self) -> dict[str, object]:
        """The keys that verify access tokens."""
        return self._keys.jwks()

    async def _find(self, key: str) -> User | None:
        if login_problem(key):
            # Nobody can have such a login, and not every database can be asked for it (NUL).
            return None
        async with self._database.read() as session:
            return await UserRepository(session).by_login(key)

    async def _rotate(  # noqa: PLR0911 - one answer for each way that a token can be refused
        self, transaction: Transaction, secret: str, now: datetime
    ) -> TokenPair | ApiError:
        tokens = RefreshTokenRepository(transaction.session)
        token_hash = _digest(secret)
        user_id = await tokens.owner(token_hash)
        # With the account locked, no family grows while it is being revoked, and no token is traded twice at once.
        user = await UserRepository(transaction.session).locked(user_id) if user_id else None
        token = await tokens.get(token_hash)
        if user is None or token is None:
            return ApiError("AUTH_INVALID_TOKEN")
        successor = await tokens.get(token.replaced_by) if token.replaced_by else None
        state = RefreshState(
            expires_at=token.expires_at,
            used_at=token.used_at,
            family_revoked=token.revoked_at is not None,
            is_latest_predecessor=successor is not None and successor.used_at is None,
        )
        verdict = judge_refresh(state, now)
        if verdict == "expired":
            return ApiError("AUTH_TOKEN_EXPIRED")
        if verdict == "reused":
            await self._revoke(transaction, token.user_id, token.family_id, now)
            return ApiError("AUTH_INVALID_TOKEN")
        if user.status != "active":
            return ApiError("AUTH_USER_SUSPENDED")
        # Derived, not drawn: who asks again gets the same token, so a family never has two that work.
        next_secret = self._keys.successor(secret)
        if verdict == "repeat" and successor is not None:
            if successor.token_hash != _digest(next_secret):
                # The signing key was changed within the grace: the answer can't be told again.
                return ApiError("AUTH_INVALID_TOKEN")
            return self._pair(user, next_secret, successor, now)
        replacement = self._keep(tokens, user, next_secret, token.family_id, now)
        token.used_at = now
        token.replaced_by = replacement.token_hash
        return self._pair(user, next_secret, replacement, now)

    def _keep(
        self, tokens: RefreshTokenRepository, user: User, secret: str, family_id: str, now: datetime
    ) -> RefreshToken:
        token = RefreshToken(
            token_hash=_digest(secret),
            family_id=family_id,
            user_id=user.id,
            issued_at=now,
            expires_at=now + timedelta(seconds=self._refresh_ttl_sec),
        )
        tokens.add(token)
        return token

    def _pair(self, user: User, secret: str, token: RefreshToken, now: datetime) -> TokenPair:
        return TokenPair(
            user=user,
            access_token=self._keys.mint(user, token.family_id, self._access_ttl_sec),
            access_ttl_sec=self._access_ttl_sec,
            refresh_token=secret,
            refresh_ttl_sec=int((token.expires_at - now).total_seconds()),
        )

    async def _revoke(self, transaction: Transaction, user_id: str, family_id: str, now: datetime) -> None:
        if await RefreshTokenRepository(transaction.session).revoke_family(family_id, now):
            message = user_pb2.TokenRevoked(user_id=user_id, family_id=family_id)
            await transaction.record(Event.of("auth.token_revoked", message, source="auth", subject=family_id))

    async def _record_failure(self, key: str, client_address: str) -> None:
        message = user_pb2.LoginFailed(login_id=key, client_address=client_address, code="AUTH_INVALID_CREDENTIALS")
        async with self._database.write() as transaction:
            await transaction.record(Event.of("auth.login_failed", message, source="auth", subject=_subject(key)))


def _new_user(login_id: str, display_name: str, password_hash: str, role: str, status: Status) -> User:
    now = utc_now()
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


def _subject(key: str) -> str:
    """A login that nobody vouches for, as a column takes it."""
    return key.replace("\0", "")[:100]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
