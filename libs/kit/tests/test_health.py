"""Whether a service can serve."""

from __future__ import annotations

import asyncio

import pytest

from kit import health as health_module
from kit.health import Check, Health


class Part:
    """Something to depend on that a test can break."""

    def __init__(self) -> None:
        self.broken: BaseException | None = None
        self.hangs = False

    async def probe(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.broken:
            raise self.broken


async def test_a_service_is_ready_once_all_that_it_needs_was_seen() -> None:
    health = Health({"database": Check(Part().probe)})
    assert not health.is_ready()
    await health.run_checks()
    assert health.is_ready()
    assert health.states() == {"database": True}


async def test_without_dependencies_it_is_ready_at_once() -> None:
    assert Health().is_ready()


@pytest.mark.parametrize("error", [ConnectionError(), TimeoutError(), RuntimeError("strange")])
async def test_it_is_ready_exactly_while_required_parts_work(error: Exception) -> None:
    database, broker = Part(), Part()
    health = Health({"database": Check(database.probe), "broker": Check(broker.probe, required=False)})
    broker.broken = error
    await health.run_checks()
    assert health.is_ready()
    assert health.states() == {"database": True, "broker": False}

    database.broken = error
    await health.run_checks()
    assert not health.is_ready()

    database.broken = None
    await health.run_checks()
    assert health.is_ready()


async def test_a_part_that_hangs_counts_as_away_and_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CHECK_DEADLINE_SEC", 0.01)
    stuck = Part()
    stuck.hangs = True
    health = Health({"stuck": Check(stuck.probe), "fine": Check(Part().probe)})
    async with asyncio.timeout(60):
        await health.run_checks()
    assert health.states() == {"stuck": False, "fine": True}


async def test_a_stop_makes_it_unready_for_good() -> None:
    health = Health({"database": Check(Part().probe)})
    await health.run_checks()
    health.stop()
    await health.run_checks()
    assert not health.is_ready()


async def test_watching_reports_every_part_and_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "INTERVAL_SEC", 0.001)
    database = Part()
    health = Health({"database": Check(database.probe)})
    reports: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    async def report(name: str, healthy: bool) -> None:
        await reports.put((name, healthy))

    async def next_is(*expected: tuple[str, bool]) -> None:
        async with asyncio.timeout(60):
            while await reports.get() != expected[0]:
                pass
            assert await reports.get() == expected[1]

    task = asyncio.create_task(health.watch(report))
    await next_is(("database", True), ("", True))
    database.broken = ConnectionError()
    await next_is(("database", False), ("", False))
    database.broken = None
    await next_is(("database", True), ("", True))
    task.cancel()
