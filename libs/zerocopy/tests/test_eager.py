"""A first step at once must behave like one in a task, except for its time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from zerocopy.eager import Starter

VALUE: ContextVar[str] = ContextVar("value", default="")


def start(coroutine: Coroutine[Any, Any, None], starter: Starter | None = None) -> asyncio.Future[Any]:
    """Start from a callback of the loop, where no task runs; the future returns the task that was needed, if any."""
    loop = asyncio.get_running_loop()
    chosen = starter or Starter(loop)
    answer = loop.create_future()
    loop.call_soon(lambda: answer.set_result(chosen.start(coroutine, copy_context())))
    return answer


async def test_coroutine_that_does_not_wait_needs_no_task() -> None:
    diary: list[str] = []

    async def work() -> None:
        diary.append("done")

    assert await start(work()) is None
    assert diary == ["done"]


async def test_waiting_coroutine_continues_in_the_same_task() -> None:
    tasks: list[Any] = []
    event = asyncio.Event()

    async def work() -> None:
        tasks.append(asyncio.current_task())
        await event.wait()
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    task = await start(work())
    event.set()
    await task
    assert tasks == [task] * 3


async def test_deadlines_hold_from_the_first_step() -> None:
    diary: list[str] = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            diary.append("timeout")
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        diary.append("no timeout")

    await (await start(work()))
    assert diary == ["timeout", "no timeout"]


async def test_task_groups_work_from_the_first_step() -> None:
    diary: list[str] = []

    async def child(name: str) -> None:
        await asyncio.sleep(0)
        diary.append(name)

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(child("a"))
            group.create_task(child("b"))

    await (await start(work()))
    assert diary == ["a", "b"]


async def test_each_has_a_context_of_its_own() -> None:
    starter = Starter(asyncio.get_running_loop())
    seen: list[str] = []

    async def work(value: str, *, waits: bool) -> None:
        seen.append(VALUE.get())
        VALUE.set(value)
        if waits:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        seen.append(VALUE.get())

    VALUE.set("outside")
    for value, waits in (("a", False), ("b", True), ("c", True), ("d", False)):
        task = await start(work(value, waits=waits), starter)
        if task is not None:
            await task
    assert seen == ["outside", "a", "outside", "b", "outside", "c", "outside", "d"]
    assert VALUE.get() == "outside"


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("waits_for", ["future", "task", "turn"])
async def test_started_coroutine_can_be_cancelled_at_any_time(turns: int, waits_for: str) -> None:
    loop = asyncio.get_running_loop()
    diary: list[str] = []
    future: asyncio.Future[None] = loop.create_future()

    async def inner() -> None:
        await future

    async def work() -> None:
        try:
            if waits_for == "future":
                await future
            elif waits_for == "task":
                await asyncio.ensure_future(inner())
            else:
                for _ in range(10):
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            diary.append("cancelled")
            raise

    task = await start(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary == ["cancelled"]
    assert future.cancelled() is (waits_for != "turn")


async def test_a_cancellation_that_comes_with_the_answer_wins() -> None:
    loop = asyncio.get_running_loop()
    diary: list[str] = []
    future: asyncio.Future[None] = loop.create_future()

    async def work() -> None:
        try:
            await future
        except asyncio.CancelledError:
            diary.append("cancelled")

    task = await start(work())
    future.set_result(None)
    task.cancel()
    await task
    assert diary == ["cancelled"]


async def test_many_may_wait_for_the_same() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()
    got: list[str] = []
    starter = Starter(loop)

    async def work() -> None:
        got.append(await future)

    answers = [start(work(), starter) for _ in range(3)]
    ordinary = asyncio.ensure_future(work())
    tasks = [await answer for answer in answers]
    future.set_result("it")
    await asyncio.gather(*tasks, ordinary)
    assert got == ["it"] * 4


async def test_errors_reach_the_coroutine_and_come_out_of_the_task() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    async def work() -> None:
        try:
            await future
        except ZeroDivisionError as error:
            raise ValueError from error

    task = await start(work())
    future.set_exception(ZeroDivisionError())
    with pytest.raises(ValueError, match=r"^$"):
        await task


async def test_one_spare_task_serves_those_that_need_none() -> None:
    starter = Starter(asyncio.get_running_loop())

    async def work() -> None:
        pass

    before = asyncio.all_tasks()
    for _ in range(10):
        assert await start(work(), starter) is None
    left = asyncio.all_tasks() - before
    assert len(left) <= 1
    for task in left:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_starter_works_within_a_task() -> None:
    diary: list[str] = []

    async def work() -> None:
        diary.append("begun")
        await asyncio.sleep(0)
        diary.append("done")

    task = Starter(asyncio.get_running_loop()).start(work(), copy_context())
    assert task is not None
    await task
    assert diary == ["begun", "done"]
