"""Refresh families: however tokens are used, at most one of a login works."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select, text

from kit.db.database import Database
from kit.errors import ApiError
from kit.testing.databases import MigratedDatabases
from services.auth.credentials import keys as keys_module
from services.auth.credentials.keys import MAX_KEYS, KeyRing, rotate
from services.auth.credentials.login_attempts import LoginAttempts
from services.auth.credentials.passwords import PasswordHasher
from services.auth.domain import REUSE_GRACE
from services.auth.models import RefreshToken
from services.auth.repository import UserRepository
from services.auth.service import Accounts, Actor, Logins
from services.auth.tests.support import PASSWORD, Clock

TTL_SEC = 100


class Wired:
    """The use cases over a database, without their edges."""

    def __init__(self, url: str, folder: Path) -> None:
        self.clock = Clock()
        self.database = Database(url)
        self._hasher = PasswordHasher(4, "")
        self.keys = KeyRing(folder / "keys.json")
        attempts = LoginAttempts(None, 1000, 1000, 1000)
        self.accounts = Accounts(self.database, self._hasher, attempts, self.clock)
        self.logins = Logins(
            self.database,
            self._hasher,
            self.keys,
            attempts,
            access_ttl_sec=900,
            refresh_ttl_sec=TTL_SEC,
            clock=self.clock,
        )

    async def log_in(self) -> str:
        return (await self.logins.log_in("alice", PASSWORD, "10.0.0.1")).refresh_token

    async def refresh(self, token: str) -> str:
        """The new token, or the code of the refusal."""
        try:
            return (await self.logins.refresh(token, "10.0.0.1")).refresh_token
        except ApiError as error:
            return error.code

    async def register(self) -> str:
        user = await self.accounts.register(
            login_id="alice", password=PASSWORD, display_name="Alice", registration="open", actor=Actor()
        )
        return user.id

    async def working(self) -> list[int]:
        """How many tokens work, for each login that has any."""
        usable = (
            RefreshToken.used_at.is_(None),
            RefreshToken.revoked_at.is_(None),
            RefreshToken.expires_at > self.clock(),
        )
        async with self.database.read() as session:
            rows = await session.execute(select(func.count()).where(*usable).group_by(RefreshToken.family_id))
            return list(rows.scalars())

    async def close(self) -> None:
        self._hasher.close()
        await self.database.close()


class RacesContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    async def wired(self, database_url: str, tmp_path: Path) -> AsyncIterator[Wired]:
        wired = Wired(database_url, tmp_path)
        await wired.register()
        yield wired
        await wired.close()

    async def test_family_revoked_during_refresh_is_revoked_entirely(self, wired: Wired) -> None:
        for _ in range(10):
            old = await wired.log_in()
            current = await wired.refresh(old)
            wired.clock.advance(seconds=REUSE_GRACE.total_seconds() + 1)
            grown, refused, _ = await asyncio.gather(wired.refresh(current), wired.refresh(old), wired.refresh(current))
            assert refused == "AUTH_INVALID_TOKEN"
            assert await wired.refresh(grown) == "AUTH_INVALID_TOKEN"
        assert await wired.working() == []

    async def test_logout_during_refresh_ends_login_session(self, wired: Wired) -> None:
        user_id = (await wired.logins.verify("alice", PASSWORD, "10.0.0.1")).id
        for _ in range(10):
            token = await wired.log_in()
            async with wired.database.read() as session:
                family = await session.scalar(
                    select(RefreshToken.family_id).where(
                        RefreshToken.token_hash == hashlib.sha256(token.encode()).hexdigest()
                    )
                )
            assert family
            await asyncio.gather(
                wired.refresh(token), wired.logins.log_out(user_id, family, "10.0.0.1"), wired.refresh(token)
            )
            assert await wired.working() == []

    async def test_concurrent_refreshes_of_one_token_have_one_successor(self, wired: Wired) -> None:
        for _ in range(5):
            token = await wired.log_in()
            successors = set(await asyncio.gather(*(wired.refresh(token) for _ in range(8))))
            assert len(successors) == 1
        assert await wired.working() == [1] * 5

    async def test_concurrent_logins_and_refreshes_of_one_account_succeed(self, wired: Wired) -> None:
        tokens = await asyncio.gather(*(wired.log_in() for _ in range(8)))
        wired.clock.advance(seconds=TTL_SEC / 2)
        answers = await asyncio.gather(*(wired.refresh(token) for token in tokens), *(wired.log_in() for _ in tokens))
        assert not any(answer.startswith("AUTH_") for answer in answers)
        assert await wired.working() == [1] * 16


class TestSqlite(RacesContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(RacesContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url

    async def test_logout_waits_for_refresh_in_progress(self, wired: Wired) -> None:
        token = await wired.log_in()
        async with wired.database.read() as session:
            first = await session.get(RefreshToken, hashlib.sha256(token.encode()).hexdigest())
        assert first

        async with wired.database.write() as trade:
            await UserRepository(trade.session).get_for_update(first.user_id)
            successor = RefreshToken(
                token_hash="successor",
                family_id=first.family_id,
                user_id=first.user_id,
                issued_at=wired.clock(),
                expires_at=first.expires_at,
            )
            trade.session.add(successor)
            await trade.session.flush()
            logout = asyncio.create_task(wired.logins.log_out(first.user_id, first.family_id, "10.0.0.1"))
            async with asyncio.timeout(60):
                while not logout.done() and not await self.a_transaction_waits_for_a_lock(wired.database):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await logout
        assert await wired.working() == []

    @staticmethod
    async def a_transaction_waits_for_a_lock(database: Database) -> bool:
        async with database.read() as session:
            waiting = await session.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )
        return bool(waiting)


@dataclass
class Family:
    """What the model knows of one login."""

    tokens: list[tuple[str, datetime]] = field(default_factory=list)
    """Each token with its end, oldest first."""
    used_at: list[datetime] = field(default_factory=list)
    """When each but the last was traded."""
    revoked: bool = False


class RefreshFamilies(RuleBasedStateMachine):
    """Trades tokens at random, old ones and new ones, and compares what happens with a model."""

    migrated: MigratedDatabases

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.migrated.sqlite(self.folder / "auth.db")
        self.runner = asyncio.Runner()
        self.families: list[Family] = []

    @initialize()
    def begin(self) -> None:
        async def wire() -> Wired:
            return Wired(f"sqlite+aiosqlite:///{self.folder}/auth.db", self.folder)

        self.wired = self.runner.run(wire())
        self.user_id = self.runner.run(self.wired.register())

    def teardown(self) -> None:
        self.runner.run(self.wired.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @property
    def now(self) -> datetime:
        return self.wired.clock()

    def keep(self, family: Family, token: str) -> None:
        family.tokens.append((token, self.now + timedelta(seconds=TTL_SEC)))

    @rule()
    def log_in(self) -> None:
        family = Family()
        self.keep(family, self.runner.run(self.wired.log_in()))
        self.families.append(family)

    @rule(seconds=st.sampled_from([0.5, 4, 10, 11, 60, TTL_SEC]))
    def wait(self, seconds: float) -> None:
        self.wired.clock.advance(seconds=seconds)

    @rule()
    def rotate_keys(self) -> None:
        # Signs at once: rotations seldom wait in life, and never here.
        if len(self.wired.keys.current.jwks()["keys"]) < MAX_KEYS:
            with patch.object(keys_module, "LEAD_SEC", 0):
                rotate(self.folder / "keys.json")
            self.wired.keys.reload_if_changed()

    @precondition(lambda self: self.families)
    @rule(data=st.data())
    def refresh(self, data: st.DataObject) -> None:
        family = data.draw(st.sampled_from(self.families))
        newest = len(family.tokens) - 1
        index = data.draw(st.integers(max(0, newest - 2), newest))
        token, ends_at = family.tokens[index]
        answer = self.runner.run(self.wired.refresh(token))

        if family.revoked:
            assert answer == "AUTH_INVALID_TOKEN"
        elif self.now >= ends_at:
            # A login sweeps tokens that have ended; then they are unknown.
            assert answer in ("AUTH_TOKEN_EXPIRED", "AUTH_INVALID_TOKEN")
        elif index == newest:
            assert answer not in [known for each in self.families for known, _ in each.tokens]
            family.used_at.append(self.now)
            self.keep(family, answer)
        elif index == newest - 1 and self.now - family.used_at[index] <= REUSE_GRACE:
            assert answer == family.tokens[newest][0]
        else:
            assert answer == "AUTH_INVALID_TOKEN"
            family.revoked = True

    @precondition(lambda self: self.families)
    @rule(data=st.data())
    def log_out(self, data: st.DataObject) -> None:
        family = data.draw(st.sampled_from(self.families))

        async def end() -> None:
            digest = hashlib.sha256(family.tokens[-1][0].encode()).hexdigest()
            async with self.wired.database.read() as session:
                family_id = await session.scalar(
                    select(RefreshToken.family_id).where(RefreshToken.token_hash == digest)
                )
            if family_id:
                await self.wired.logins.log_out(self.user_id, family_id, "10.0.0.1")
                family.revoked = True

        self.runner.run(end())

    @invariant()
    def at_most_one_token_of_a_login_works(self) -> None:
        if self.families:
            alive = [each for each in self.families if not each.revoked and each.tokens[-1][1] > self.now]
            assert self.runner.run(self.wired.working()) == [1] * len(alive)


def test_login_session_has_at_most_one_usable_token(migrated: MigratedDatabases) -> None:
    RefreshFamilies.migrated = migrated
    case = RefreshFamilies.TestCase
    case.settings = settings(
        max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").debug()
