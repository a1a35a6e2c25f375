"""How lanes share the slots of a process."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from services.thumbnailer.lanes import RULES, Lane
from services.thumbnailer.service.scheduler import LaneScheduler

BULK = (Lane.IMPORT_FACTS, Lane.IMPORT_ARTWORK, Lane.REPROCESS)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def order_of(waiting: dict[Lane, int], job_sec: dict[Lane, float], slots: int = 1) -> list[Lane]:
    """Return the order in which jobs begin that all wait at first."""
    clock, began = Clock(), []
    scheduler = LaneScheduler(slots, RULES, clock)

    async def job(lane: Lane) -> None:
        async with scheduler.slot(lane):
            began.append(lane)
            await asyncio.sleep(0)
            clock.seconds += job_sec.get(lane, 1.0)

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(slots + 1):
            await stack.enter_async_context(scheduler.slot(Lane.UPLOAD_FACTS))
        for lane, count in waiting.items():
            for _ in range(count):
                group.create_task(job(lane))
        await turns()
        assert began == []
        await stack.aclose()
    return began


async def test_upload_behind_thousands_of_imports_is_next() -> None:
    began = await order_of({Lane.IMPORT_FACTS: 3700, Lane.UPLOAD_FACTS: 1}, {})
    assert Lane.UPLOAD_FACTS in began[:2]


async def test_upload_begins_at_once_while_long_jobs_hold_all_slots() -> None:
    scheduler = LaneScheduler(2, RULES)
    async with scheduler.slot(Lane.REPROCESS), scheduler.slot(Lane.IMPORT_ARTWORK), asyncio.timeout(60):
        async with scheduler.slot(Lane.UPLOAD_FACTS):
            pass
        async with scheduler.slot(Lane.UPLOAD_ARTWORK):
            pass


async def test_bulk_work_never_takes_the_spare_slot() -> None:
    scheduler = LaneScheduler(2, RULES)
    async with scheduler.slot(Lane.REPROCESS), scheduler.slot(Lane.IMPORT_ARTWORK):
        third = asyncio.create_task(scheduler.slot(Lane.IMPORT_FACTS).__aenter__())
        await turns()
        assert not third.done()
        third.cancel()


async def test_bulk_lanes_share_by_weight() -> None:
    began = await order_of(dict.fromkeys(BULK, 200), {})
    counts = Counter(began[:140])
    for lane in BULK:
        assert counts[lane] == pytest.approx(140 * RULES[lane].weight / sum(RULES[each].weight for each in BULK), abs=4)


async def test_uploads_do_not_starve_bulk_work() -> None:
    """Uploads may hold the spare slot all the time, but not both."""
    began = await order_of({Lane.UPLOAD_FACTS: 400, Lane.REPROCESS: 10}, {})
    assert Lane.REPROCESS in began[:80]


async def test_time_counts_not_jobs() -> None:
    """A lane whose jobs take long gets as much time as its weight says, not as many jobs."""
    began = await order_of({Lane.IMPORT_ARTWORK: 300, Lane.REPROCESS: 300}, {Lane.REPROCESS: 10.0})
    counts = Counter(began[:105])
    assert counts[Lane.IMPORT_ARTWORK] / max(1, counts[Lane.REPROCESS]) == pytest.approx(20, rel=0.3)


async def test_lane_that_was_idle_has_no_claim_on_the_past() -> None:
    clock = Clock()
    scheduler = LaneScheduler(1, RULES, clock)
    for _ in range(50):
        async with scheduler.slot(Lane.IMPORT_FACTS):
            clock.seconds += 100
    began: list[Lane] = []

    async def job(lane: Lane) -> None:
        async with scheduler.slot(lane):
            began.append(lane)
            clock.seconds += 1
            await asyncio.sleep(0)

    async with scheduler.slot(Lane.IMPORT_FACTS):
        jobs = [asyncio.create_task(job(lane)) for _ in range(40) for lane in (Lane.REPROCESS, Lane.IMPORT_FACTS)]
        await turns()
    await asyncio.gather(*jobs)
    assert Counter(began[:25])[Lane.IMPORT_FACTS] > 15


async def test_cancelled_waiters_leave_nothing_behind() -> None:
    scheduler = LaneScheduler(1, RULES)
    async with scheduler.slot(Lane.REPROCESS):
        waiting = [asyncio.create_task(scheduler.slot(lane).__aenter__()) for lane in BULK for _ in range(3)]
        await turns()
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    for lane in Lane:
        async with asyncio.timeout(60), scheduler.slot(lane):
            pass


async def test_slot_that_was_granted_to_a_cancelled_waiter_is_given_on() -> None:
    scheduler = LaneScheduler(1, RULES)
    async with scheduler.slot(Lane.REPROCESS):
        waiting = asyncio.create_task(scheduler.slot(Lane.IMPORT_FACTS).__aenter__())
        await turns()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(60), scheduler.slot(Lane.IMPORT_FACTS):
        pass


async def test_slots_are_the_limit() -> None:
    scheduler = LaneScheduler(3, RULES)
    running, most = 0, 0

    async def job() -> None:
        nonlocal running, most
        async with scheduler.slot(Lane.IMPORT_FACTS):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(job() for _ in range(20)))
    assert most == 3
