"""Start a coroutine at once instead of in the event loop's next turn.

Most requests for a part of a file are answered without waiting for anything. Such a coroutine needs neither a task of
its own nor another turn of the loop, which together cost as much as parsing the request.

Python 3.12 has eager tasks for that. On 3.11 the first step runs with a spare task entered as the current one, which
`asyncio.timeout` and others need; if the coroutine then waits for something, that task continues it.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from typing import Any

Steps = Coroutine[Any, Any, None]

if sys.version_info >= (3, 12):

    class Starter:
        """Start coroutines on one event loop."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop

        def start(self, coroutine: Steps, context: Context) -> asyncio.Task[None] | None:
            """Run a coroutine until it first waits. Return the task that continues it, or None if it is done."""
            task = asyncio.Task(coroutine, loop=self._loop, context=context, eager_start=True)
            return None if task.done() else task

else:

    class _Spare:
        """A task that waits for a coroutine to continue."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._handed_over: asyncio.Future[None] = loop.create_future()
            self._coroutine: Steps | None = None
            self._context: Context | None = None
            self._awaited: Any = None
            self.task = loop.create_task(self._run())

        def carry_on(self, coroutine: Steps, context: Context, awaited: Any) -> None:
            """Take over a coroutine that has begun to wait for something."""
            self._coroutine = coroutine
            self._context = context
            self._awaited = awaited
            if awaited is not None:
                # Until this task's turn, other tasks may begin to wait for the same future.
                awaited._asyncio_future_blocking = False  # noqa: SLF001 - the protocol between tasks and futures
            self._handed_over.set_result(None)

        async def _run(self) -> None:
            cancelled: asyncio.CancelledError | None = None
            try:
                await self._handed_over
            except asyncio.CancelledError as error:
                if self._coroutine is None:
                    raise
                if self._awaited is None or not self._awaited.cancel():
                    cancelled = error
            assert self._coroutine is not None  # noqa: S101 - it was handed over
            assert self._context is not None  # noqa: S101 - the same
            await _carry_on(self._coroutine, self._context, self._awaited, cancelled)

    @types.coroutine
    def _carry_on(
        coroutine: Steps, context: Context, awaited: Any, error: BaseException | None
    ) -> Generator[Any, Any, None]:
        """Run a coroutine as `await` would, but in the context of its first step."""
        if awaited is not None:
            awaited._asyncio_future_blocking = True  # noqa: SLF001 - see above
        while True:
            step: Callable[[], Any]
            if error is not None:
                step = partial(coroutine.throw, error)
            else:
                try:
                    step = partial(coroutine.send, (yield awaited))
                except BaseException as thrown:  # noqa: BLE001 - the coroutine gets it
                    step = partial(coroutine.throw, thrown)
            error = None
            try:
                awaited = context.run(step)
            except StopIteration:
                return

    class Starter:
        """Start coroutines on one event loop."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._spare: _Spare | None = None

        def start(self, coroutine: Steps, context: Context) -> asyncio.Task[None] | None:
            """Run a coroutine until it first waits. Return the task that continues it, or None if it is done."""
            if asyncio.current_task(self._loop) is not None:
                return self._loop.create_task(coroutine, context=context)
            spare = self._spare
            if spare is None or spare.task.cancelling():
                spare = self._spare = _Spare(self._loop)
            asyncio._enter_task(self._loop, spare.task)  # noqa: SLF001 - for tasks of one's own ("Extending asyncio")
            try:
                awaited = context.run(coroutine.send, None)
            except StopIteration:
                return None
            finally:
                asyncio._leave_task(self._loop, spare.task)  # noqa: SLF001 - the same
            self._spare = None
            spare.carry_on(coroutine, context, awaited)
            return spare.task
