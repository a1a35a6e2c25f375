"""A full disk under auth's database: writes are answered 507, what needs none goes on, and all recovers."""

from __future__ import annotations

import sqlite3

import httpx

from kit.testing.databases import failing_writes
from services.auth.tests.support import StartAuth, basic, problem

FULL = (507, "STORAGE_FULL")


async def test_writes_are_answered_507_and_recover(start_auth: StartAuth) -> None:
    async with start_auth(registration="open") as auth:
        assert (await auth.register("alice")).status_code == 201
        headers = await auth.bearer("alice")
        http: httpx.AsyncClient = auth.client
        with failing_writes(sqlite3.SQLITE_FULL):
            login = await auth.log_in("alice")
            assert problem(login) == FULL
            assert login.json()["error"]["details"] == {"dependency": "database"}
            assert int(login.headers["Retry-After"]) > 0
            assert problem(await auth.register("bob")) == FULL
            edit = await http.patch("/api/users/me", json={"display_name": "Al"}, headers=headers)
            assert problem(edit) == FULL
            assert (await http.get("/api/users/me", headers=headers)).status_code == 200
            # A password that is checked for another service leaves no login session.
            assert (await http.get("/api/users/me", headers=basic("alice", "correct horse battery"))).status_code == 200
            await auth.service.health.run_checks()
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["disk"]) == (200, False)
            assert 'database_disk_full{database="auth"} 1.0' in (await http.get("/metrics")).text
        assert (await auth.log_in("alice")).status_code == 200
        assert (await auth.register("bob")).status_code == 201
        await auth.service.health.run_checks()
        assert (await http.get("/readyz")).json()["checks"]["disk"] is True
        assert 'database_disk_full{database="auth"} 0.0' in (await http.get("/metrics")).text


async def test_busy_database_is_answered_503(start_auth: StartAuth) -> None:
    async with start_auth() as auth:
        with failing_writes(sqlite3.SQLITE_BUSY):
            assert problem(await auth.log_in()) == (503, "SERVICE_UNAVAILABLE")
