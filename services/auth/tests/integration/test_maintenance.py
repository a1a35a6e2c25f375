"""What is done at intervals, and its failures."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from kit.db.database import Database
from services.auth.service import Corporations, maintenance
from services.auth.service.maintenance import Maintenance
from services.auth.tests.integration.audit_support import BURST, maintenance_of
from services.auth.tests.support import Auth, Clock


async def test_failed_step_does_not_stop_others(
    auth: Auth, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object) -> int:
        raise ConnectionError

    monkeypatch.setattr(Corporations, "expire_plans", fail)
    for _ in range(BURST):
        await auth.log_in("unknown", "wrong")
    with capture_logs() as logs:
        await maintenance_of(auth, database, clock).once()
    assert [entry["event"] for entry in logs if entry["log_level"] in ("error", "warning")] == [
        "sweep_failed",
        "login_failures_burst",
    ]


async def test_runs_until_cancelled_and_prunes_hourly(
    auth: Auth, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[bool] = []
    done = asyncio.Event()

    async def once(_self: Maintenance, *, prune: bool = False) -> None:
        rounds.append(prune)
        if len(rounds) == maintenance.PRUNE_EVERY + 1:
            done.set()

    monkeypatch.setattr(Maintenance, "once", once)
    monkeypatch.setattr(maintenance, "EVERY_SEC", 0)
    running = asyncio.ensure_future(maintenance_of(auth, database, clock).run())
    async with asyncio.timeout(60):
        await done.wait()
    running.cancel()
    assert rounds == [True, *[False] * (maintenance.PRUNE_EVERY - 1), True]
