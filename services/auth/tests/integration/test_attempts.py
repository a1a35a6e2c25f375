"""The limit on failed logins, counted in memory and in a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from kit.errors import ApiError
from kit.testing.servers import RedisServer, free_port
from services.auth.credentials import login_attempts
from services.auth.tests.support import ADMIN, BROWSER, PASSWORD, Auth, StartAuth, basic, problem

LIMIT = 4
ADDRESS_LIMIT = 7
ACCOUNT_LIMIT = 12


class AttemptsContract:
    """Holds wherever attempts are counted; subclasses say where."""

    @pytest.fixture
    def redis_url(self) -> str | None:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Redis is slow where the machine is busy; what happens when it is too slow has tests of its own."""
        monkeypatch.setattr(login_attempts, "REDIS_DEADLINE_SEC", 60.0)

    @pytest.fixture
    async def auth(self, start_auth: StartAuth, redis_url: str | None) -> AsyncIterator[Auth]:
        async with start_auth(
            registration="open",
            redis_url=redis_url,
            login_attempts=LIMIT,
            login_attempts_per_address=ADDRESS_LIMIT,
            # One Redis counts for all tests, and the administrator is tried in many of them.
            login_attempts_per_account=10_000,
        ) as auth:
            yield auth

    @pytest.fixture
    def home(self, auth: Auth) -> httpx.AsyncClient:
        """A client at an address that no other test uses."""
        return auth.browser(str(uuid.uuid4()))

    async def fail(self, auth: Auth, client: httpx.AsyncClient, login: str = ADMIN, times: int = 1) -> None:
        for _ in range(times):
            assert problem(await auth.log_in(login, "wrong", client)) == (401, "AUTH_INVALID_CREDENTIALS")

    async def test_right_password_is_refused_after_limit(
        self, auth: Auth, home: httpx.AsyncClient, checked: list[bytes]
    ) -> None:
        await self.fail(auth, home, times=LIMIT)
        for password in ("wrong", PASSWORD):
            answer = await auth.log_in(ADMIN, password, home)
            assert problem(answer) == (429, "AUTH_RATE_LIMITED")
            assert 0 < int(answer.headers["Retry-After"]) <= 300
        assert len(checked) == LIMIT
        assert len(await auth.events("auth.login_failed")) == LIMIT

    async def test_all_spellings_of_a_login_count_together(self, auth: Auth, home: httpx.AsyncClient) -> None:
        for login in ("admin", "ADMIN", " Admin ", "\uff41\uff44\uff4d\uff49\uff4e"):
            await self.fail(auth, home, login)
        assert problem(await auth.log_in(ADMIN, PASSWORD, home)) == (429, "AUTH_RATE_LIMITED")

    async def test_other_accounts_and_addresses_are_not_limited(self, auth: Auth, home: httpx.AsyncClient) -> None:
        await auth.register("alice")
        await self.fail(auth, home, times=LIMIT)
        assert (await auth.log_in("alice", PASSWORD, home)).status_code == 200
        assert (await auth.log_in(ADMIN, PASSWORD, auth.browser(str(uuid.uuid4())))).status_code == 200

    async def test_address_that_tries_many_accounts_is_refused(self, auth: Auth, home: httpx.AsyncClient) -> None:
        for number in range(ADDRESS_LIMIT):
            await self.fail(auth, home, f"unknown-{number}")
        assert problem(await auth.log_in(ADMIN, PASSWORD, home)) == (429, "AUTH_RATE_LIMITED")
        assert (await auth.log_in(ADMIN, PASSWORD, auth.browser(str(uuid.uuid4())))).status_code == 200

    async def test_account_tried_from_many_addresses_is_closed_temporarily(
        self, start_auth: StartAuth, redis_url: str | None
    ) -> None:
        name = f"user-{uuid.uuid4()}"
        async with start_auth(
            registration="open", redis_url=redis_url, login_attempts_per_account=ACCOUNT_LIMIT
        ) as auth:
            await auth.register(name)
            await auth.register(f"{name}-2")
            for _ in range(ACCOUNT_LIMIT // LIMIT):
                await self.fail(auth, auth.browser(str(uuid.uuid4())), name, times=LIMIT)
            home = auth.browser(str(uuid.uuid4()))
            answer = await auth.log_in(name, PASSWORD, home)
            assert problem(answer) == (429, "AUTH_RATE_LIMITED")
            assert 0 < int(answer.headers["Retry-After"]) <= 3600
            assert (await auth.log_in(f"{name}-2", PASSWORD, home)).status_code == 200

    async def test_an_ipv6_network_is_one_address(self, auth: Auth) -> None:
        network = f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"
        for host in range(LIMIT):
            await self.fail(auth, auth.browser(f"{network}::{host + 1}"))
        assert problem(await auth.log_in(ADMIN, PASSWORD, auth.browser(f"{network}:ffff::1")))[0] == 429

    async def test_known_device_is_not_locked_out(self, start_auth: StartAuth, redis_url: str | None) -> None:
        name = f"user-{uuid.uuid4()}"
        async with start_auth(
            registration="open",
            redis_url=redis_url,
            login_attempts=LIMIT,
            login_attempts_per_address=ADDRESS_LIMIT,
            login_attempts_per_account=ACCOUNT_LIMIT,
        ) as auth:
            await auth.register(name)
            home = str(uuid.uuid4())
            device, stranger = auth.browser(home), auth.browser(home)
            assert (await auth.log_in(name, PASSWORD, device)).status_code == 200
            for _ in range(ACCOUNT_LIMIT // LIMIT):
                await self.fail(auth, auth.browser(str(uuid.uuid4())), name, times=LIMIT)
            assert problem(await auth.log_in(name, PASSWORD, auth.browser(str(uuid.uuid4()))))[0] == 429
            for number in range(ADDRESS_LIMIT):
                await self.fail(auth, stranger, f"unknown-{number}-{name}")
            assert problem(await auth.log_in(name, PASSWORD, stranger))[0] == 429
            assert (await device.post("/api/auth/logout", headers=BROWSER)).status_code == 204
            assert (await auth.log_in(name, PASSWORD, device)).status_code == 200
            await self.fail(auth, device, name, times=LIMIT)
            assert problem(await auth.log_in(name, PASSWORD, device))[0] == 429, "its own failures keep it out"

    async def test_device_is_known_only_for_its_own_logins(self, auth: Auth) -> None:
        name = f"user-{uuid.uuid4()}"
        await auth.register(name)
        device = auth.browser(str(uuid.uuid4()))
        assert (await auth.log_in(name, PASSWORD, device)).status_code == 200
        await self.fail(auth, device, times=LIMIT)
        assert problem(await auth.log_in(ADMIN, PASSWORD, device))[0] == 429

    async def test_address_of_basic_credentials_is_trusted_after_success(
        self, start_auth: StartAuth, redis_url: str | None
    ) -> None:
        name = f"user-{uuid.uuid4()}"
        async with start_auth(
            registration="open",
            redis_url=redis_url,
            login_attempts=LIMIT,
            login_attempts_per_account=ACCOUNT_LIMIT,
        ) as auth:
            await auth.register(name)
            home, wrong = auth.browser(str(uuid.uuid4())), basic(name, "wrong")
            assert (await home.get("/api/users/me", headers=basic(name, PASSWORD))).status_code == 200
            for _ in range(ACCOUNT_LIMIT // LIMIT):
                stranger = auth.browser(str(uuid.uuid4()))
                for _ in range(LIMIT):
                    assert (await stranger.get("/api/users/me", headers=wrong)).status_code == 401
            assert problem(await auth.log_in(name, PASSWORD, auth.browser(str(uuid.uuid4()))))[0] == 429
            # Spelt otherwise, so that it is not remembered.
            again = basic(name.upper(), PASSWORD)
            assert (await home.get("/api/users/me", headers=again)).status_code == 200

    async def test_successes_are_not_counted(self, auth: Auth, home: httpx.AsyncClient) -> None:
        for _ in range(2 * ADDRESS_LIMIT):
            assert (await auth.log_in(ADMIN, PASSWORD, home)).status_code == 200
        await self.fail(auth, home, times=LIMIT - 1)
        assert (await auth.log_in(ADMIN, PASSWORD, home)).status_code == 200

    async def test_checks_count_as_attempts(self, auth: Auth, home: httpx.AsyncClient) -> None:
        body = {"login_id": ADMIN, "password": "wrong"}
        for _ in range(LIMIT):
            assert (await home.post("/api/auth/check", json=body)).status_code == 401
        assert problem(await home.post("/api/auth/check", json=body)) == (429, "AUTH_RATE_LIMITED")
        assert problem(await auth.log_in(ADMIN, PASSWORD, home)) == (429, "AUTH_RATE_LIMITED")

    async def test_concurrent_guesses_do_not_exceed_limit(
        self, auth: Auth, home: httpx.AsyncClient, checked: list[bytes]
    ) -> None:
        answers = await asyncio.gather(*(auth.log_in(ADMIN, f"guess-{number}", home) for number in range(40)))
        assert {answer.status_code for answer in answers} == {401, 429}
        assert LIMIT <= len(checked) < LIMIT + login_attempts.SIDE_BY_SIDE


class TestMemory(AttemptsContract):
    @pytest.fixture
    def redis_url(self) -> str | None:
        return None

    async def test_one_address_can_not_close_an_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real, ahead_sec = time.time, 0.0
        monkeypatch.setattr(time, "time", lambda: real() + ahead_sec)
        counter = login_attempts.LoginAttempts(None, per_account=10, per_address=30, per_account_everywhere=100)
        failures: list[float] = []
        for _ in range(5 * 60):
            with contextlib.suppress(ApiError):
                for _ in range(12):
                    await counter.check_limits(ADMIN, "203.0.113.9")
                    await counter.record_failure(ADMIN, "203.0.113.9")
                    failures.append(ahead_sec)
            await counter.check_limits(ADMIN, "198.51.100.7")
            ahead_sec += 60
        assert max(sum(0 <= at - begin < 3_600 for at in failures) for begin in failures) == 20
        await counter.close()


class TestRedis(AttemptsContract):
    @pytest.fixture
    def redis_url(self, redis_server: RedisServer) -> str | None:
        return redis_server.url

    async def test_replicas_share_counts(self, start_auth: StartAuth, auth: Auth, redis_url: str) -> None:
        address = str(uuid.uuid4())
        async with start_auth(redis_url=redis_url, login_attempts=LIMIT, login_attempts_per_account=10_000) as other:
            for number in range(LIMIT):
                replica = (auth, other)[number % 2]
                await self.fail(replica, replica.browser(address))
            for replica in (auth, other):
                assert problem(await replica.log_in(ADMIN, PASSWORD, replica.browser(address)))[0] == 429

    async def test_health_reports_redis(self, auth: Auth) -> None:
        assert (await auth.client.get("/readyz")).json()["checks"]["redis"] is True


class TestRedisAway:
    async def test_logins_are_refused_while_redis_is_away(self, start_auth: StartAuth) -> None:
        async with start_auth(redis_url=f"redis://127.0.0.1:{free_port()}") as auth:
            for password in (PASSWORD, "wrong"):
                answer = await auth.log_in(ADMIN, password)
                assert problem(answer) == (503, "SERVICE_UNAVAILABLE")
                assert answer.json()["error"]["details"] == {"dependency": "redis"}
                assert answer.headers["Retry-After"]
            ready = await auth.client.get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["redis"]) == (200, False)

    async def test_hanging_redis_is_abandoned_after_deadline(
        self, start_auth: StartAuth, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(login_attempts, "REDIS_DEADLINE_SEC", 0.1)

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with start_auth(redis_url=f"redis://127.0.0.1:{port}") as auth:
            started = time.monotonic()
            assert problem(await auth.log_in()) == (503, "SERVICE_UNAVAILABLE")
            assert time.monotonic() - started < 2
        server.close()

    async def test_cancelled_request_does_not_wait_for_redis(self, start_auth: StartAuth) -> None:
        asked = asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            asked.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        counter = login_attempts.LoginAttempts(f"redis://127.0.0.1:{port}", LIMIT, LIMIT, LIMIT)
        for _ in range(20):
            asked.clear()
            counting = asyncio.ensure_future(counter.record_failure("alice", "10.0.0.1"))
            await asked.wait()
            counting.cancel()
            started = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await counting
            assert time.monotonic() - started < login_attempts.REDIS_DEADLINE_SEC / 2
        await counter.close()
        server.close()
