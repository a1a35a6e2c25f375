"""Verify credentials, and keep login sessions. Passwords are hashed outside of transactions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.auth.client import Revocations
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.ids import created_at, new_id
from marquee.events.v1 import user_pb2
from services.auth.credentials.keys import KeyRing
from services.auth.credentials.login_attempts import LoginAttempts
from services.auth.credentials.passwords import PasswordHasher
from services.auth.domain import RefreshState, decide_refresh, login_key, login_problem
from services.auth.models import RefreshToken, User
from services.auth.repository import AccountChangeRepository, RefreshTokenRepository, UserRepository
from services.auth.service.common import MAX_ADDRESS_CHARS, SOURCE, Actor, digest, user_event, write_audit

COMMIT_MARGIN = timedelta(seconds=10)
"""A revocation may become visible by this much later than its time stamp, when its transaction commits."""

MAX_AGENT_CHARS = 200
MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens of a login or a refresh."""

    user: User
    access_token: str
    access_ttl_sec: int
    refresh_token: str
    refresh_ttl_sec: int


@dataclass(frozen=True, slots=True)
class LoginClient:
    """What tokens are issued to."""

    address: str
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login session that is still usable."""

    id: str
    began_at: datetime
    last_used_at: datetime
    """When its tokens were issued last."""
    user_agent: str
    client_address: str
    is_current: bool


class Logins:
    """Verify credentials, and begin, renew and end login sessions."""

    def __init__(
        self,
        database: Database,
        hasher: PasswordHasher,
        keys: KeyRing,
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

    async def verify(self, login_id: str, password: str, client_address: str, device: str | None = None) -> User:
        """Return the account that a login and password belong to.

        Args:
            login_id: as typed.
            password: as typed.
            client_address: the client's address.
            device: the id of a device on which this login succeeded before; None for any other device.

        Raises:
            ApiError: AUTH_INVALID_CREDENTIALS, AUTH_USER_PENDING, AUTH_USER_SUSPENDED, AUTH_RATE_LIMITED, or
                SERVICE_UNAVAILABLE when attempts can't be counted.
        """
        key = login_key(login_id)
        async with self._attempts.limit_concurrency(client_address, device):
            await self._attempts.check_limits(key, client_address, device)
            user = await self._find(key)
            fits = await self._hasher.verify(password, user.password_hash if user else None)
            if not fits:
                await self._attempts.record_failure(key, client_address, device)
        if user is None or not fits:
            await self._record_failure(key, user, client_address)
            raise ApiError(ErrorCode.AUTH_INVALID_CREDENTIALS)
        _require_active(user)
        await self._attempts.record_success(key, client_address)
        if self._hasher.is_cheap(user.password_hash):
            better = await self._hasher.hash(password)
            async with self._database.write() as transaction:
                await UserRepository(transaction.session).replace_hash(user.id, user.password_hash, better)
        return user

    async def log_in(
        self, login_id: str, password: str, client_address: str, device: str | None = None, *, user_agent: str = ""
    ) -> TokenPair:
        """Begin a new login session of a client that names itself. Other arguments and errors are those of `verify`."""
        proved = await self.verify(login_id, password, client_address, device)
        now = self._clock()
        async with self._database.write() as transaction:
            user = await UserRepository(transaction.session).get_for_update(proved.id)
            if user is None or user.password_version != proved.password_version:
                # The password was changed, or the account deleted, during verification.
                raise ApiError(ErrorCode.AUTH_INVALID_CREDENTIALS)
            _require_active(user)
            tokens = RefreshTokenRepository(transaction.session)
            await tokens.delete_expired(now)
            secret, family_id = secrets.token_urlsafe(32), new_id()
            client = LoginClient(client_address, user_agent)
            token = self._store_token(tokens, user, secret, family_id, client, now)
            pair = self._issue_pair(user, secret, token, now)
            message = user_pb2.LoginSucceeded(user_id=user.id, client_address=client_address)
            await transaction.record(user_event(message, user))
            write_audit(transaction, "login.succeeded", Actor(user.id, client_address), ("user", user.id), now)
        return pair

    async def own_refresh_token(self, candidates: Sequence[str]) -> str | None:
        """Return the first usable refresh token of several, else one that was issued here, else None.

        A browser may hold several: of other installations, or left over. Presenting a used one would end its login
        session.
        """
        now, issued_here = self._clock(), None
        async with self._database.read() as session:
            tokens = RefreshTokenRepository(session)
            for secret in candidates:
                token = await tokens.get(digest(secret))
                if token is None:
                    continue
                if token.used_at is None and token.revoked_at is None and now < token.expires_at:
                    return secret
                issued_here = issued_here or secret
        return issued_here

    async def refresh(self, refresh_token: str, client_address: str, *, user_agent: str = "") -> TokenPair:
        """Exchange a refresh token for a new pair.

        Raises:
            ApiError: AUTH_INVALID_TOKEN when it is unknown, revoked or was used before (which revokes its family),
                AUTH_TOKEN_EXPIRED, AUTH_USER_SUSPENDED.
        """
        now = self._clock()
        async with self._database.write() as transaction:
            outcome = await self._rotate(transaction, refresh_token, LoginClient(client_address, user_agent), now)
        if isinstance(outcome, ApiError):
            # Raised only here: the revocation of a stolen family must be committed, not rolled back.
            raise outcome
        return outcome

    async def log_out(self, user_id: str, login_session_id: str, client_address: str) -> bool:
        """End one login session by revoking its refresh tokens; return whether it had not ended before."""
        now = self._clock()
        async with self._database.write() as transaction:
            await UserRepository(transaction.session).get_for_update(user_id)
            has_ended = await self._revoke(transaction, user_id, login_session_id, now)
            if has_ended:
                write_audit(transaction, "login.ended", Actor(user_id, client_address), ("user", user_id), now)
        return has_ended

    async def own_sessions(self, user_id: str, current: str) -> Sequence[LoginSession]:
        """Return the usable login sessions of an account, the last used first, at most a hundred.

        Args:
            user_id: the account.
            current: the login session of the caller.
        """
        async with self._database.read() as session:
            tokens = await RefreshTokenRepository(session).usable(user_id, self._clock(), MAX_LISTED)
        return [
            LoginSession(
                id=token.family_id,
                began_at=created_at(token.family_id),
                last_used_at=token.issued_at,
                user_agent=token.user_agent,
                client_address=token.client_address,
                is_current=token.family_id == current,
            )
            for token in tokens
        ]

    async def end_own_session(self, user_id: str, login_session_id: str, client_address: str) -> None:
        """End a login session of an account, on any device.

        Raises:
            ApiError: CONTENT_NOT_FOUND when the account has no such login session, or it has ended.
        """
        async with self._database.read() as session:
            owner = await RefreshTokenRepository(session).owner_of_family(login_session_id)
        if owner != user_id or not await self.log_out(user_id, login_session_id, client_address):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def revocations(self, since: datetime | None) -> Revocations:
        """Return what was revoked since a time; with None, every revocation that a valid access token may predate."""
        now = self._clock()
        oldest = now - timedelta(seconds=self._access_ttl_sec) - COMMIT_MARGIN
        begin = max(since, oldest) if since else oldest
        async with self._database.read() as session:
            families = await RefreshTokenRepository(session).revoked_since(begin)
            accounts = await AccountChangeRepository(session).since(begin)
        return Revocations(families, accounts, now - COMMIT_MARGIN)

    async def delete_old_changes(self) -> None:
        """Remove changes of accounts that no valid access token can predate."""
        oldest = self._clock() - timedelta(seconds=self._access_ttl_sec) - 2 * COMMIT_MARGIN
        async with self._database.write() as transaction:
            await AccountChangeRepository(transaction.session).delete_before(oldest)

    def jwks(self) -> dict[str, object]:
        """Return the public keys that verify access tokens, as a JSON Web Key Set."""
        return self._keys.current.jwks()

    async def _find(self, key: str) -> User | None:
        if login_problem(key):
            # No account can have such a login, and some databases refuse it in a query (NUL).
            return None
        async with self._database.read() as session:
            return await UserRepository(session).by_login(key)

    async def _rotate(  # noqa: PLR0911 - one return for each way that a token can be refused
        self, transaction: Transaction, secret: str, client: LoginClient, now: datetime
    ) -> TokenPair | ApiError:
        tokens = RefreshTokenRepository(transaction.session)
        token_hash = digest(secret)
        user_id = await tokens.owner(token_hash)
        # With the account locked, no family grows while it is being revoked, and no token is exchanged twice at once.
        user = await UserRepository(transaction.session).get_for_update(user_id) if user_id else None
        token = await tokens.get(token_hash)
        if user is None or token is None:
            return ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        successor = await tokens.get(token.replaced_by) if token.replaced_by else None
        state = RefreshState(
            expires_at=token.expires_at,
            used_at=token.used_at,
            family_revoked=token.revoked_at is not None,
            is_latest_predecessor=successor is not None and successor.used_at is None,
        )
        decision = decide_refresh(state, now)
        if decision == "expired":
            return ApiError(ErrorCode.AUTH_TOKEN_EXPIRED)
        if decision == "reused":
            if await self._revoke(transaction, token.user_id, token.family_id, now):
                # The client that presents it has not proved to be the account's owner.
                write_audit(transaction, "token.reused", Actor(None, client.address), ("user", user.id), now)
            return ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        if user.status != "active":
            return ApiError(ErrorCode.AUTH_USER_SUSPENDED)
        if decision == "repeat" and successor is not None:
            # Derived, not random: a repeated request gets the same token, so a family never has two usable ones.
            for candidate in self._keys.current.successors(secret):
                if digest(candidate) == successor.token_hash:
                    return self._issue_pair(user, candidate, successor, now)
            # The key that it was derived from was removed within the grace period: the response can't be repeated.
            return ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        next_secret = self._keys.current.successors(secret)[0]
        replacement = self._store_token(tokens, user, next_secret, token.family_id, client, now)
        token.used_at = now
        token.replaced_by = replacement.token_hash
        return self._issue_pair(user, next_secret, replacement, now)

    def _store_token(
        self,
        tokens: RefreshTokenRepository,
        user: User,
        secret: str,
        family_id: str,
        client: LoginClient,
        now: datetime,
    ) -> RefreshToken:
        token = RefreshToken(
            token_hash=digest(secret),
            family_id=family_id,
            user_id=user.id,
            issued_at=now,
            expires_at=now + timedelta(seconds=self._refresh_ttl_sec),
            client_address=client.address[:MAX_ADDRESS_CHARS],
            user_agent=_printable(client.user_agent)[:MAX_AGENT_CHARS],
        )
        tokens.add(token)
        return token

    def _issue_pair(self, user: User, secret: str, token: RefreshToken, now: datetime) -> TokenPair:
        return TokenPair(
            user=user,
            access_token=self._keys.current.mint(user, token.family_id, self._access_ttl_sec),
            access_ttl_sec=self._access_ttl_sec,
            refresh_token=secret,
            refresh_ttl_sec=int((token.expires_at - now).total_seconds()),
        )

    async def _revoke(self, transaction: Transaction, user_id: str, family_id: str, now: datetime) -> bool:
        if not await RefreshTokenRepository(transaction.session).revoke_family(family_id, now):
            return False
        message = user_pb2.TokenRevoked(user_id=user_id, family_id=family_id)
        await transaction.record(Event.of(message, source=SOURCE, subject=family_id))
        return True

    async def _record_failure(self, key: str, user: User | None, client_address: str) -> None:
        message = user_pb2.LoginFailed(
            login_id=key, client_address=client_address, code=ErrorCode.AUTH_INVALID_CREDENTIALS
        )
        target = ("user", user.id if user else None)
        async with self._database.write() as transaction:
            await transaction.record(Event.of(message, source=SOURCE, subject=_subject(key)))
            # Without the login: people type passwords there.
            write_audit(transaction, "login.failed", Actor(None, client_address), target, self._clock())


def _require_active(user: User) -> None:
    if user.status == "pending":
        raise ApiError(ErrorCode.AUTH_USER_PENDING)
    if user.status != "active":
        raise ApiError(ErrorCode.AUTH_USER_SUSPENDED)


def _subject(key: str) -> str:
    """Return an unverified login in a form that the subject's column accepts."""
    return key.replace("\0", "")[:100]


def _printable(text: str) -> str:
    """Return a header of a client in a form that databases and terminals accept."""
    return "".join(letter for letter in text if letter.isprintable())
