"""The first start, and starts of several replicas at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kit.events.relay import Relay
from kit.service import Role
from kit.settings import SettingsError
from kit.testing.fakes import FakeBus
from services.auth.__main__ import build
from services.auth.tests.support import ADMIN, PASSWORD, Auth, StartAuth, problem, settings_of


class FirstStartContract:
    """Holds for every database; subclasses say where theirs is."""

    async def test_one_of_several_replicas_creates_the_administrator(self, start_auth: StartAuth) -> None:
        async with AsyncExitStack() as stack:
            replicas = await asyncio.gather(*(stack.enter_async_context(start_auth()) for _ in range(5)))
            auth: Auth = replicas[0]
            body = (await auth.client.get("/api/users", headers=await auth.bearer())).json()
            assert [(item["login_id"], item["role"], item["status"]) for item in body["items"]] == [
                (ADMIN, "admin", "active")
            ]
            assert len(await auth.events("user.registered")) == 1

    async def test_a_later_start_changes_nothing(self, start_auth: StartAuth) -> None:
        async with start_auth():
            pass
        async with start_auth(admin_login="other", admin_password="another password") as auth:
            assert (await auth.log_in(ADMIN, PASSWORD)).status_code == 200
            assert problem(await auth.log_in("other", "another password")) == (401, "AUTH_INVALID_CREDENTIALS")

    async def test_only_first_start_needs_admin_password(self, start_auth: StartAuth) -> None:
        with pytest.raises(SettingsError, match=r"^MARQUEE_ADMIN_PASSWORD is not set; [^\n]+\.$"):
            async with start_auth(admin_password=None):
                pass
        async with start_auth():
            pass
        async with start_auth(admin_password=None) as auth:
            assert (await auth.log_in()).status_code == 200


class TestSqlite(FirstStartContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(FirstStartContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


def test_broken_key_file_stops_the_start_with_a_message(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, {"database_url": f"sqlite+aiosqlite:///{tmp_path}/auth.db"})
    settings.signing_key_file.write_text("not a key")
    with pytest.raises(SettingsError, match=r"^MARQUEE_SIGNING_KEY_FILE can't be used: .*\.$"):
        build(settings, Role.SERVE, FakeBus())


@pytest.mark.parametrize(("role", "relays"), [(Role.SERVE, 1), (Role.API, 0), (Role.WORKER, 1)])
async def test_only_workers_relay_events(tmp_path: Path, sqlite_url: str, role: Role, relays: int) -> None:
    service = build(settings_of(tmp_path, {"database_url": sqlite_url}), role, FakeBus())
    assert sum(getattr(loop, "__func__", None) is Relay.run for loop in service.background) == relays
    await service.stop(0)


async def test_what_was_recorded_reaches_the_bus(tmp_path: Path, sqlite_url: str) -> None:
    bus = FakeBus()
    service = build(settings_of(tmp_path, {"database_url": sqlite_url}), Role.SERVE, bus)
    await service.start()
    async with asyncio.timeout(60):
        while bus.types() != ["user.registered"]:  # noqa: ASYNC110 - nothing tells of a row in a database
            await asyncio.sleep(0.005)
    await service.stop(0)
