"""Starts of sessions that arrive together are sent to Redis together.

A rush would otherwise pay a round trip for each viewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, RedisError

from services.stream.slots.port import SlotsUnavailableError

log = structlog.get_logger()

BATCH = 100
"""Starts in one round trip, or sessions in one renewal: other work gets its turn after a few milliseconds."""

WithinDeadline = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class PendingStart(NamedTuple):
    """A start that waits to be sent, or for its reply."""

    arguments: tuple[str | int, ...]
    reply: asyncio.Future[Any]

    def resolve(self, reply: object) -> None:
        """Set the reply, unless the caller has given up."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: SlotsUnavailableError) -> None:
        """Set an error, unless there is a reply or the caller has given up."""
        if not self.reply.done():
            self.reply.set_exception(error)


class StartBatcher:
    """Runs `start.lua` for many callers with one pipeline.

    Args:
        redis: the client.
        script: the registered script.
        keys: its keys.
        within_deadline: runs an operation with Redis; raises SlotsUnavailableError.
    """

    def __init__(self, redis: Redis, script: AsyncScript, keys: Sequence[str], within_deadline: WithinDeadline) -> None:
        self._redis = redis
        self._script = script
        self._keys = keys
        self._within_deadline = within_deadline
        self._waiting: list[PendingStart] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, arguments: tuple[str | int, ...]) -> Any:
        """Return the script's reply.

        Raises:
            SlotsUnavailableError: there is none; the script may have run.
        """
        start = PendingStart(arguments, asyncio.get_running_loop().create_future())
        self._waiting.append(start)
        if len(self._waiting) == 1:
            self._schedule()
        return await start.reply

    def _schedule(self) -> None:
        task = asyncio.create_task(self._send_batch())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_batch(self) -> None:
        """Send the starts that wait. Redis decides each on its own, in their order."""
        waiting, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if self._waiting:
            self._schedule()
        # A caller that has given up by now gets no slot.
        starts = [each for each in waiting if not each.reply.done()]
        reason = SlotsUnavailableError("not answered")
        try:
            await self._within_deadline(partial(self._evaluate_all, starts))
        except SlotsUnavailableError as error:
            reason = error
        finally:
            # Whatever happened, no caller waits for ever.
            for start in starts:
                start.fail(reason)

    async def _evaluate_all(self, starts: Sequence[PendingStart]) -> None:
        if unknown := await self._evaluate(starts):
            # Redis was emptied, or is another one.
            await self._redis.script_load(self._script.script)
            await self._evaluate(unknown)

    async def _evaluate(self, starts: Sequence[PendingStart]) -> list[PendingStart]:
        """Make one round trip; return the starts for which Redis doesn't have the script."""
        pipeline = self._redis.pipeline(transaction=False)
        for start in starts:
            pipeline.evalsha(self._script.sha, len(self._keys), *self._keys, *start.arguments)
        unknown, failures = [], set[str]()
        for start, reply in zip(starts, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, NoScriptError):
                unknown.append(start)
            elif isinstance(reply, RedisError):
                failures.add(repr(reply))
                start.fail(SlotsUnavailableError(repr(reply)))
            else:
                start.resolve(reply)
        for reason in failures:
            log.warning("slots_unavailable", reason=reason)
        return unknown
