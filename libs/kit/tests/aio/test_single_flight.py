"""One run for all who ask at a time, whatever becomes of the callers."""

from __future__ import annotations

import asyncio
import gc

import pytest

from kit.aio.single_flight import SingleFlight


class Work:
    """A coroutine function that counts its runs and ends when it is let."""

    def __init__(self) -> None:
        self.runs = 0
        self.end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        run = self.runs
        await self.end.wait()
        if self.error is not None:
            raise self.error
        return run


async def test_callers_of_one_key_share_a_run() -> None:
    flights, work = SingleFlight[str, int](), Work()
    callers = [asyncio.ensure_future(flights.run("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.end.set()
    assert await asyncio.gather(*callers) == [1, 1, 1]


async def test_keys_run_apart() -> None:
    flights, work = SingleFlight[str, int](), Work()
    work.end.set()
    assert sorted(await asyncio.gather(flights.run("a", work), flights.run("b", work))) == [1, 2]


async def test_results_are_not_kept() -> None:
    flights, work = SingleFlight[str, int](), Work()
    work.end.set()
    assert [await flights.run("a", work), await flights.run("a", work)] == [1, 2]


async def test_a_cancelled_caller_does_not_end_the_run_of_others() -> None:
    flights, work = SingleFlight[str, int](), Work()
    first, second = (asyncio.ensure_future(flights.run("a", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.end.set()
    assert await second == 1


async def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    flights, work = SingleFlight[str, int](), Work()
    work.error = ValueError("no")
    work.end.set()
    outcomes = await asyncio.gather(*(flights.run("a", work) for _ in range(2)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no", "no"]
    work.error = None
    assert await flights.run("a", work) == 2


async def test_a_failure_without_callers_is_not_logged_by_asyncio() -> None:
    flights, work = SingleFlight[str, int](), Work()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    caller = asyncio.ensure_future(flights.run("a", work))
    await asyncio.sleep(0)
    caller.cancel()
    work.error = ValueError("no")
    work.end.set()
    await asyncio.wait([flights.task("a", work)])
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert not complaints


async def test_a_forgotten_run_still_answers_and_the_next_caller_starts_anew() -> None:
    flights, work = SingleFlight[str, int](), Work()
    old = asyncio.ensure_future(flights.run("a", work))
    await asyncio.sleep(0)
    flights.forget("a")
    new = asyncio.ensure_future(flights.run("a", work))
    await asyncio.sleep(0)
    work.end.set()
    assert list(await asyncio.gather(old, new)) == [1, 2]


async def test_a_run_knows_whether_it_was_forgotten() -> None:
    flights, end = SingleFlight[str, bool](), asyncio.Event()

    async def look() -> bool:
        await end.wait()
        return flights.is_current("a")

    old = asyncio.ensure_future(flights.run("a", look))
    await asyncio.sleep(0)
    flights.clear()
    new = asyncio.ensure_future(flights.run("a", look))
    await asyncio.sleep(0)
    end.set()
    assert list(await asyncio.gather(old, new)) == [False, True]
