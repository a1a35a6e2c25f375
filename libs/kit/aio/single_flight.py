"""Share one run of a coroutine among all who ask for the same thing at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Run a coroutine once for each key at a time.

    Callers that come while a run for their key is under way wait for that run's result. A run goes on to its end when
    the callers that wait for it are cancelled: the next caller may need its result. Results and failures are not kept.
    """

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[T]] = {}

    async def run(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the run for a key, and start one if none is under way.

        Raises:
            Exception: what the run raised.
        """
        return await asyncio.shield(self.task(key, start))

    def task(self, key: K, start: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return the task of the run for a key, and start one if none is under way. Do not cancel it."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(start())
            task.add_done_callback(lambda done: self._finish(key, done))
        return task

    def is_current(self, key: K) -> bool:
        """Return whether the current task is the run for this key, and was not forgotten meanwhile."""
        return self._tasks.get(key) is asyncio.current_task()

    def forget(self, key: K) -> None:
        """Let the next caller start a run of its own; those that wait already still get the old run's result."""
        self._tasks.pop(key, None)

    def clear(self) -> None:
        """Forget all keys, as `forget` does."""
        self._tasks.clear()

    def _finish(self, key: K, task: asyncio.Task[T]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled():
            # Retrieve the exception, so that asyncio does not log it where every caller has been cancelled.
            task.exception()
