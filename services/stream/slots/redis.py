"""The slots of all replicas, in Redis: each operation is one script, and one round trip.

What the scripts do is in `lua/`, one file an operation behind `book.lua`. All keys are of one hash slot and never
expire by themselves. The guarantee is Redis's own: with `appendfsync always` and `noeviction` nothing that was granted
is forgotten. When Redis was away or paused, or lost its data, its clock shows a gap of more than two ticks; nothing new
is granted for one idle time then, while replicas tell whom they serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import structlog
from redis.exceptions import NoScriptError, RedisError

from kit.audit import Admin
from kit.redis import RedisClient, RedisUnavailableError
from services.stream.slots import Outgoing, SlotsUnavailable
from services.stream.slots.events import NOBODY, TraceContext
from services.stream.slots.models import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Limits,
    Outcome,
    Queued,
    Renewal,
    Scope,
    Session,
    SessionRequest,
    SessionStatus,
    State,
    Unavailable,
)
from services.stream.slots.rows import (
    read_by_age,
    read_event,
    read_place,
    read_session,
    renewal_arguments,
    viewing_arguments,
)

log = structlog.get_logger()

DEADLINE_SEC = 2.0
"""For one operation, connecting and trying again included."""
CONNECTIONS = 8
"""Redis does one thing at a time: more would only wait there instead of here."""
BATCH = 100
"""Sessions told of, or asked for, at a time: others get their turn after a few milliseconds."""
OWED = 1000
"""Sessions whose end is remembered while Redis is away; of more than those the oldest run out by themselves."""
KEYS = (
    "clock",
    "leases",
    "queue",
    "facts",
    "states",
    "users",
    "ended",
    "reasons",
    "settling",
    "events",
)
_LUA = Path(__file__).with_name("lua")


class _Script(Enum):
    """The operations; each is a file."""

    START = "start"
    RENEW = "renew"
    STOP = "stop"
    FAIL = "fail"
    GET = "get"
    ALL = "all"
    PENDING = "pending"
    OPENS = "opens"


class _Start(NamedTuple):
    """A start that waits to be asked for, or for its answer."""

    arguments: tuple[str | int, ...]
    reply: asyncio.Future[Any]

    def answer(self, reply: object) -> None:
        """Gives the answer to who still wants it."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: SlotsUnavailable) -> None:
        """Says that there is none."""
        if not self.reply.done():
            self.reply.set_exception(error)


class RedisSlots:
    """Answers `SlotStore` from Redis.

    A start or a stop whose answer did not come may have happened. It is remembered, and the next renewal that gets
    through sees to it that the session is over: nobody plays it, and it would hold its slot for the idle time.

    Args:
        url: `redis://…` or `rediss://…`.
        limits: how many may watch; the same on all replicas.
        replica: the name of this process, unlike that of any other that ever ran.
        prefix: begins the names of all keys.
    """

    is_shared = True
    server_time: ClassVar[str] = (_LUA / "time.lua").read_text()
    """Lua that defines `server_time`, so that tests can tell the time to the very scripts that run in production."""

    def __init__(self, url: str, limits: Limits, *, replica: str, prefix: str = "marquee:slots") -> None:
        self.limits = limits
        self._keys = [f"{{{prefix}}}:{name}" for name in KEYS]
        self._owed: dict[str, tuple[str, str]] = {}
        """Sessions that must not go on: why, and whose they must be (empty: anybody's)."""
        self._starts: list[_Start] = []
        """Those that wait to be asked for."""
        self._asking: set[asyncio.Task[None]] = set()
        # A retry is safe: every operation done twice is done once.
        self._client = RedisClient(url, deadline_sec=DEADLINE_SEC, connections=CONNECTIONS, retry_after_sec=0.02)
        self._redis = self._client.redis
        book = self.server_time + (_LUA / "book.lua").read_text()
        self._scripts = {
            each: self._redis.register_script(book + (_LUA / f"{each.value}.lua").read_text()) for each in _Script
        }
        times = limits.idle_sec, limits.gap_sec, limits.tombstone_sec
        self._header: tuple[str | int, ...] = (
            *(round(sec * 1000) for sec in times),
            *(limits.platform, limits.per_user, limits.queue),
            replica,
        )

    async def start(self, viewing: SessionRequest, *, instead_of: str | None = None) -> Outcome:
        """See `SlotStore`."""
        waits = viewing.kind is Kind.EXPLICIT
        try:
            reply = await self._start(*viewing_arguments(viewing), int(waits), instead_of or "")
        except SlotsUnavailable:
            self._give_up(viewing)
            return Unavailable(self.limits.tick_sec)
        except asyncio.CancelledError:
            self._give_up(viewing)
            raise
        match reply:
            case ["refused", scope, limit, rows]:
                return LimitReached(Scope(scope), limit, tuple(read_by_age(rows)))
            case ["unavailable", milliseconds]:
                return Unavailable(milliseconds / 1000)
            case ["there", row]:
                return self._present(row)
            case _:
                raise AssertionError(f"an answer of start.lua that was not agreed on: {reply!r}")

    async def renew(self, batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        """See `SlotStore`."""
        standings: dict[str, SessionStatus] = {}
        for begin in range(0, max(len(batch), len(self._owed), 1), BATCH):
            some = batch[begin : begin + BATCH]
            owed = dict(list(self._owed.items())[:BATCH])
            reply = await self._run(
                _Script.RENEW,
                len(owed),
                *(text for session_id, terms in owed.items() for text in (session_id, *terms)),
                *(argument for renewal in some for argument in renewal_arguments(renewal)),
            )
            for session_id in owed:
                self._owed.pop(session_id, None)
            for renewal, standing in zip(some, reply, strict=True):
                standings[renewal.session.id] = self._standing(standing)
        return standings

    async def stop(
        self,
        session_id: str,
        reason: EndReason,
        *,
        user_id: str | None = None,
        bytes_sent: int | None = None,
        by: Admin | None = None,
    ) -> Session | None:
        """See `SlotStore`."""
        told = "" if bytes_sent is None else bytes_sent
        admin = (by.user_id, by.address) if by else ("", "")
        arguments = session_id, reason.value, user_id or "", told, *admin
        try:
            row = await self._run(_Script.STOP, *arguments, cause=TraceContext.here())
        except (SlotsUnavailable, asyncio.CancelledError):
            self._owe(session_id, reason, user_id or "")
            raise
        return read_session(row) if row else None

    async def fail(self, session_id: str, error_code: str, error_message: str) -> None:
        """See `SlotStore`."""
        await self._run(_Script.FAIL, session_id, error_code, error_message, cause=TraceContext.here())

    async def get(self, session_id: str) -> SessionStatus:
        """See `SlotStore`."""
        return self._standing(await self._run(_Script.GET, session_id))

    async def of_user(self, user_id: str) -> list[Session]:
        """See `SlotStore`."""
        return read_by_age(await self._run(_Script.ALL, user_id))

    async def all(self) -> list[Session]:
        """See `SlotStore`."""
        rows = await self._run(_Script.ALL, "")
        playing = [row for row in rows if not read_place(row)]
        return [*read_by_age(playing), *map(read_session, sorted(filter(read_place, rows), key=read_place))]

    async def opens_in(self) -> float:
        """See `SlotStore`."""
        return int(await self._run(_Script.OPENS)) / 1000

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        """See `SlotStore`."""
        entries = await self._run(_Script.PENDING, limit, after)
        return [
            Outgoing(receipt, read_event(dict(zip(flat[::2], flat[1::2], strict=True)))) for receipt, flat in entries
        ]

    async def acknowledge(self, receipts: Collection[str]) -> None:
        """See `SlotStore`."""
        if receipts:
            await self._within_deadline(partial(self._redis.xdel, self._keys[KEYS.index("events")], *receipts))

    async def ping(self) -> None:
        """See `SlotStore`."""
        await self._within_deadline(self._redis.ping)

    async def close(self) -> None:
        """See `SlotStore`."""
        await self._client.close()

    def _give_up(self, viewing: SessionRequest) -> None:
        # The next request of an implicit session finds the one that may have started, and goes on with it.
        if viewing.kind is Kind.EXPLICIT:
            self._owe(viewing.session_id, EndReason.ENDED, "")

    def _owe(self, session_id: str, reason: EndReason, user_id: str) -> None:
        self._owed[session_id] = reason.value, user_id
        if len(self._owed) > OWED:
            del self._owed[next(iter(self._owed))]

    async def _start(self, *arguments: str | int) -> Any:
        """Runs start.lua. Those who come together ask together: a rush would pay the way to Redis a viewer each."""
        start = _Start(self._arguments(arguments, TraceContext.here()), asyncio.get_running_loop().create_future())
        self._starts.append(start)
        if len(self._starts) == 1:
            self._ask_soon()
        return await start.reply

    def _ask_soon(self) -> None:
        asking = asyncio.create_task(self._ask_together())
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _ask_together(self) -> None:
        """Asks for the starts that wait. Each is decided alone, in their order."""
        waiting, self._starts = self._starts[:BATCH], self._starts[BATCH:]
        if self._starts:
            self._ask_soon()
        # Who has given up by now gets no slot.
        starts = [each for each in waiting if not each.reply.done()]
        reason = SlotsUnavailable("not answered")
        try:
            await self._within_deadline(partial(self._ask_for, starts))
        except SlotsUnavailable as error:
            reason = error
        finally:
            # Whatever happened: nobody waits for ever.
            for start in starts:
                start.fail(reason)

    async def _ask_for(self, starts: Sequence[_Start]) -> None:
        script = self._scripts[_Script.START]
        if unknown := await self._evaluate(script.sha, starts):
            # Redis was emptied, or is another one.
            await self._redis.script_load(script.script)
            await self._evaluate(script.sha, unknown)

    async def _evaluate(self, sha: str, starts: Sequence[_Start]) -> list[_Start]:
        """One round trip. Answers those that Redis has no script for."""
        pipeline = self._redis.pipeline(transaction=False)
        for start in starts:
            pipeline.evalsha(sha, len(self._keys), *self._keys, *start.arguments)
        unknown, failures = [], set[str]()
        for start, reply in zip(starts, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, NoScriptError):
                unknown.append(start)
            elif isinstance(reply, RedisError):
                failures.add(repr(reply))
                start.fail(SlotsUnavailable(repr(reply)))
            else:
                start.answer(reply)
        for reason in failures:
            log.warning("slots_unavailable", reason=reason)
        return unknown

    async def _run(self, script: _Script, *arguments: str | int, cause: TraceContext = NOBODY) -> Any:
        return await self._within_deadline(
            partial(self._scripts[script], self._keys, self._arguments(arguments, cause))
        )

    def _arguments(self, own: tuple[str | int, ...], cause: TraceContext) -> tuple[str | int, ...]:
        return (*self._header, cause.traceparent, cause.request_id, *own)

    async def _within_deadline(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await self._client.run(operation)
        except RedisUnavailableError as error:
            log.warning("slots_unavailable", reason=str(error))
            raise SlotsUnavailable(str(error)) from error

    def _standing(self, reply: Any) -> SessionStatus:
        kind, told = reply
        return Ended(EndReason(told)) if kind == "gone" else self._present(told)

    def _present(self, row: Any) -> Active | Queued:
        session = read_session(row)
        if session.state is State.ACTIVE:
            return Active(session)
        return Queued(session, read_place(row), self.limits.tick_sec)
