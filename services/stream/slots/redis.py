"""The slots of all replicas, in Redis: each operation is one script, and one round trip.

The scripts are in `lua/`, one file for each operation, preceded by `session_store.lua`. All keys are of one hash slot
and never expire by themselves. The guarantee is Redis's own: with `appendfsync always` and `noeviction` nothing that
was granted is forgotten. When Redis was away or paused, or lost its data, or no replica called, its clock shows a gap
of more than two ticks: all sessions get a new lease. If it is not the same process that it was before the gap, it may
have lost some: nothing new is granted for one idle time then, while replicas report which sessions they serve.

Names of keys and of stored fields are a contract between releases: during a rolling update old and new replicas share
one Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import structlog

from kit.audit import Admin
from kit.redis import RedisClient, RedisUnavailableError
from services.stream.slots.events import NO_REQUEST, TraceContext
from services.stream.slots.models import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Limits,
    Queued,
    Renewal,
    Scope,
    Session,
    SessionRequest,
    SessionStatus,
    StartResult,
    State,
    Unavailable,
)
from services.stream.slots.port import Outgoing, SlotsUnavailableError
from services.stream.slots.redis_batch import BATCH, StartBatcher
from services.stream.slots.redis_rows import (
    read_by_age,
    read_event,
    read_position,
    read_session,
    renewal_arguments,
    request_arguments,
)

log = structlog.get_logger()

DEADLINE_SEC = 2.0
"""For one operation, connecting and trying again included."""
CONNECTIONS = 8
"""Redis does one thing at a time: more would only wait there instead of here."""
MAX_PENDING_STOPS = 1000
"""Stops that are remembered while Redis is away; of more than those the oldest sessions expire by themselves."""
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
    """The operations; each is a file in `lua/`."""

    START = "start"
    RENEW = "renew"
    STOP = "stop"
    FAIL = "fail"
    GET = "get"
    ALL = "all"
    PENDING = "pending"
    SECONDS_UNTIL_ACCEPTING = "seconds_until_accepting"


class RedisSlots:
    """Implement `SlotStore` with Redis.

    A start or a stop whose answer did not come may have happened. It is remembered, and the next renewal that gets
    through ends the session: it is not played, and would hold its slot for the idle time.

    Args:
        url: `redis://…` or `rediss://…`.
        limits: how many may watch; the same on all replicas.
        replica: the name of this process, unlike that of any other that ever ran.
        prefix: begins the names of all keys.
    """

    is_shared = True
    server_time: ClassVar[str] = (_LUA / "time.lua").read_text()
    """Lua that defines `server_time`, so that tests can set the time of the very scripts that run in production."""

    def __init__(self, url: str, limits: Limits, *, replica: str, prefix: str = "marquee:slots") -> None:
        self.limits = limits
        self._keys = [f"{{{prefix}}}:{name}" for name in KEYS]
        self._pending_stops: dict[str, tuple[str, str]] = {}
        """Sessions that must not go on, by id: the reason, and the user they must be of (empty: any)."""
        # A retry is safe: every operation is idempotent.
        self._client = RedisClient(url, deadline_sec=DEADLINE_SEC, connections=CONNECTIONS, retry_after_sec=0.02)
        self._redis = self._client.redis
        common = self.server_time + (_LUA / "session_store.lua").read_text()
        self._scripts = {
            each: self._redis.register_script(common + (_LUA / f"{each.value}.lua").read_text()) for each in _Script
        }
        self._starts = StartBatcher(self._redis, self._scripts[_Script.START], self._keys, self._within_deadline)
        times = limits.idle_sec, limits.gap_sec, limits.tombstone_sec
        self._header: tuple[str | int, ...] = (
            *(round(sec * 1000) for sec in times),
            *(limits.platform, limits.per_user, limits.queue),
            replica,
        )

    async def start(self, request: SessionRequest, *, instead_of: str | None = None) -> StartResult:
        """Implement `SlotStore`."""
        may_wait = request.kind is Kind.EXPLICIT
        own = (*request_arguments(request), int(may_wait), instead_of or "")
        try:
            reply = await self._starts.run(self._arguments(own, TraceContext.current()))
        except SlotsUnavailableError:
            self._stop_if_started(request)
            return Unavailable(self.limits.tick_sec)
        except asyncio.CancelledError:
            self._stop_if_started(request)
            raise
        match reply:
            case ["limit_reached", scope, limit, rows]:
                return LimitReached(Scope(scope), limit, tuple(read_by_age(rows)))
            case ["unavailable", milliseconds]:
                return Unavailable(milliseconds / 1000)
            case ["live", row]:
                return self._read_live(row)
            case _:
                raise AssertionError(f"start.lua gave an unknown reply: {reply!r}")

    async def renew(self, batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        """Implement `SlotStore`."""
        statuses: dict[str, SessionStatus] = {}
        for begin in range(0, max(len(batch), len(self._pending_stops), 1), BATCH):
            some = batch[begin : begin + BATCH]
            stops = dict(list(self._pending_stops.items())[:BATCH])
            reply = await self._run(
                _Script.RENEW,
                len(stops),
                *(text for session_id, stop in stops.items() for text in (session_id, *stop)),
                *(argument for renewal in some for argument in renewal_arguments(renewal)),
            )
            for session_id in stops:
                self._pending_stops.pop(session_id, None)
            for renewal, row in zip(some, reply, strict=True):
                statuses[renewal.session.id] = self._read_status(row)
        return statuses

    async def stop(
        self,
        session_id: str,
        reason: EndReason,
        *,
        user_id: str | None = None,
        bytes_sent: int | None = None,
        by: Admin | None = None,
    ) -> Session | None:
        """Implement `SlotStore`."""
        sent = "" if bytes_sent is None else bytes_sent
        admin = (by.user_id, by.address) if by else ("", "")
        arguments = session_id, reason.value, user_id or "", sent, *admin
        try:
            row = await self._run(_Script.STOP, *arguments, trace=TraceContext.current())
        except (SlotsUnavailableError, asyncio.CancelledError):
            self._queue_stop(session_id, reason, user_id or "")
            raise
        return read_session(row) if row else None

    async def fail(self, session_id: str, error_code: str, error_message: str) -> None:
        """Implement `SlotStore`."""
        await self._run(_Script.FAIL, session_id, error_code, error_message, trace=TraceContext.current())

    async def get(self, session_id: str) -> SessionStatus:
        """Implement `SlotStore`."""
        return self._read_status(await self._run(_Script.GET, session_id))

    async def of_user(self, user_id: str) -> list[Session]:
        """Implement `SlotStore`."""
        return read_by_age(await self._run(_Script.ALL, user_id))

    async def all(self) -> list[Session]:
        """Implement `SlotStore`."""
        rows = await self._run(_Script.ALL, "")
        playing = [row for row in rows if not read_position(row)]
        return [*read_by_age(playing), *map(read_session, sorted(filter(read_position, rows), key=read_position))]

    async def seconds_until_accepting(self) -> float:
        """Implement `SlotStore`."""
        return int(await self._run(_Script.SECONDS_UNTIL_ACCEPTING)) / 1000

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        """Implement `SlotStore`."""
        entries = await self._run(_Script.PENDING, limit, after)
        return [
            Outgoing(receipt, read_event(dict(zip(flat[::2], flat[1::2], strict=True)))) for receipt, flat in entries
        ]

    async def acknowledge(self, receipts: Collection[str]) -> None:
        """Implement `SlotStore`."""
        if receipts:
            await self._within_deadline(partial(self._redis.xdel, self._keys[KEYS.index("events")], *receipts))

    async def ping(self) -> None:
        """Implement `SlotStore`."""
        await self._within_deadline(self._redis.ping)

    async def close(self) -> None:
        """Implement `SlotStore`."""
        await self._client.close()

    def _stop_if_started(self, request: SessionRequest) -> None:
        # The next request of an implicit session finds the one that may have started, and goes on with it.
        if request.kind is Kind.EXPLICIT:
            self._queue_stop(request.session_id, EndReason.ENDED, "")

    def _queue_stop(self, session_id: str, reason: EndReason, user_id: str) -> None:
        self._pending_stops[session_id] = reason.value, user_id
        if len(self._pending_stops) > MAX_PENDING_STOPS:
            del self._pending_stops[next(iter(self._pending_stops))]

    async def _run(self, script: _Script, *arguments: str | int, trace: TraceContext = NO_REQUEST) -> Any:
        return await self._within_deadline(
            partial(self._scripts[script], self._keys, self._arguments(arguments, trace))
        )

    def _arguments(self, own: tuple[str | int, ...], trace: TraceContext) -> tuple[str | int, ...]:
        return (*self._header, trace.traceparent, trace.request_id, *own)

    async def _within_deadline(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await self._client.run(operation)
        except RedisUnavailableError as error:
            log.warning("slots_unavailable", reason=str(error))
            raise SlotsUnavailableError(str(error)) from error

    def _read_status(self, reply: Any) -> SessionStatus:
        kind, value = reply
        return Ended(EndReason(value)) if kind == "ended" else self._read_live(value)

    def _read_live(self, row: Any) -> Active | Queued:
        session = read_session(row)
        if session.state is State.ACTIVE:
            return Active(session)
        return Queued(session, read_position(row), self.limits.tick_sec)
