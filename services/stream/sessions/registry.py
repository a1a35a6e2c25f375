"""The sessions that this process serves, and their renewal in batches."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import NamedTuple

import structlog

from kit.audit import Admin
from kit.cache import LruCache
from services.stream.sessions import metrics
from services.stream.sessions.local_session import ClientKey, LocalSession
from services.stream.sessions.statistics import HOT
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Queued,
    SessionStatus,
    SlotStore,
    SlotsUnavailableError,
    State,
)

log = structlog.get_logger()

_ENDED = 10_000
FINISHED_SEC = 0.25
"""How long an implicit session must be without a request before it counts as finished, when its file was sent up to the
end; otherwise it is a tick. A later request has to ask the store."""
_STOP_SEC = 1.0
"""How long a response that was cut off may take to end."""


class _Failure(NamedTuple):
    session_id: str
    code: str
    message: str


class SessionRegistry:
    """The sessions of this process. Looking one up does no I/O; `renew` is one round trip for all of them.

    A session that is over is kept until its last bytes are reported.

    Args:
        slots: the sessions of all replicas.
        replica: the name of this process there.
    """

    def __init__(self, slots: SlotStore, replica: str) -> None:
        self._slots = slots
        self._replica = replica
        self._unexpired_sec = slots.limits.idle_sec - slots.limits.gap_sec
        """Sessions seen within this window cannot expire before the next renewal, even if that is late."""
        metrics.LIMIT.set(slots.limits.platform)
        self._sessions: dict[str, LocalSession] = {}
        self._clients: dict[ClientKey, LocalSession] = {}
        self._ended = LruCache[str, EndReason](_ENDED)
        """Why sessions ended that can't come back, so that further requests for them are answered from memory."""
        self._failures: list[_Failure] = []
        self._pending_stops: dict[str, EndReason] = {}
        self._wake = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._finishing: asyncio.TimerHandle | None = None

    def get(self, session_id: str) -> LocalSession | None:
        """Return a session that is not over; None when it is not known here."""
        local_session = self._sessions.get(session_id)
        return local_session if local_session is not None and local_session.ended is None else None

    def get_active(self, session_id: str) -> LocalSession | None:
        """Return a session that may have bytes and can't have expired in the store; None: ask the store."""
        return self._if_unexpired(self._sessions.get(session_id))

    def get_active_of_client(self, client: ClientKey) -> LocalSession | None:
        """Return the implicit session of a client, under the conditions of `get_active`; None: ask the store."""
        return self._if_unexpired(self._clients.get(client))

    def get_possibly_expired(self, client: ClientKey) -> LocalSession | None:
        """Return the implicit session of a client that may have bytes, unless it has expired in the store by now."""
        local_session = self._clients.get(client)
        return local_session if local_session is not None and local_session.is_active else None

    def end_reason(self, session_id: str) -> EndReason | None:
        """Return why a session is over, if that is known here."""
        local_session = self._sessions.get(session_id)
        return (
            local_session.ended if local_session is not None and local_session.ended else self._ended.peek(session_id)
        )

    def all(self) -> list[LocalSession]:
        """Return the sessions that are not over."""
        return [local_session for local_session in self._sessions.values() if local_session.ended is None]

    def add(
        self,
        status: Active | Queued,
        login_session_id: str = "",
        client: ClientKey | None = None,
        *,
        is_alive: bool = True,
    ) -> LocalSession:
        """Add a session, or update it, and renew it from now on.

        Args:
            status: as the store has it.
            login_session_id: the login session that it is played with, if that is known.
            client: identifies a client without a ticket.
            is_alive: whether its player has just shown a sign of life.
        """
        local_session = self._sessions.get(status.session.id)
        if local_session is None:
            local_session = self._sessions[status.session.id] = LocalSession(
                status, login_session_id, self._finish_soon
            )
        else:
            local_session.update(status)
        local_session.login_session_id = local_session.login_session_id or login_session_id
        local_session.resume()
        local_session.must_check = False
        if is_alive:
            local_session.touch()
        if client:
            self._clients[client] = local_session
            local_session.clients.add(client)
        return local_session

    def end(self, session_id: str, reason: EndReason) -> None:
        """Serve nothing of a session any more."""
        if reason is not EndReason.UNKNOWN:
            self._ended.put(session_id, reason)
        local_session = self._sessions.get(session_id)
        if local_session is not None and local_session.ended is None:
            local_session.end(reason)

    async def stop(
        self, session_id: str, reason: EndReason, user_id: str | None = None, by: Admin | None = None
    ) -> bool:
        """End a session for good, wherever it is served; return whether there was one.

        Args:
            session_id: the session.
            reason: why it ends.
            user_id: only if it is this user's.
            by: the administrator who stops it, for the audit log.

        Raises:
            SlotsUnavailableError: here it is over; elsewhere it will be when the store is back.
        """
        local_session = self.get(session_id)
        bytes_sent = None
        if local_session is not None:
            if user_id not in {None, local_session.session.request.user_id}:
                return False
            # First here, so that the last bytes are counted.
            self.end(session_id, reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SEC):
                    await local_session.wait_until_idle()
            bytes_sent = local_session.bytes_sent
        stopped = await self._slots.stop(session_id, reason, user_id=user_id, bytes_sent=bytes_sent, by=by)
        if stopped is not None:
            self.end(session_id, reason)
        return stopped is not None

    def stop_soon(self, session_id: str, reason: EndReason) -> None:
        """End a session without waiting: here at once, everywhere else with the next renewal."""
        self.end(session_id, reason)
        self._pending_stops[session_id] = reason
        self._wake.set()

    def fail(self, local_session: LocalSession, code: str, message: str) -> None:
        """Report an error of a session with the next renewal; each code once."""
        if code not in local_session.errors:
            local_session.errors.add(code)
            self._failures.append(_Failure(local_session.session.id, code, message))
            self._wake.set()

    async def renew(self) -> None:
        """Report all sessions to the store, and take over their status.

        Raises:
            SlotsUnavailableError: the next renewal reports it all again. Playing sessions go on.
        """
        await self._send_pending_stops()
        now = perf_counter()
        # One that ended since the last renewal, and all of whose bytes are counted, is reported once more.
        last = [each for each in self._sessions.values() if each.ended and not each.responses]
        async with self._renewing:
            for each in self._sessions.values() if self._slots.is_shared else ():
                quiet_sec = FINISHED_SEC if each.reached_end else self._slots.limits.tick_sec
                if each.can_finish() and now - each.seen_at >= quiet_sec:
                    each.finish()
            statuses = await self._slots.renew([each.renewal(now) for each in self._sessions.values()])
        for each in last:
            if isinstance(statuses[each.session.id], Ended):
                self._remove(each)
        for session_id, status in statuses.items():
            if local_session := self._sessions.get(session_id):
                self._apply(local_session, status)
        self._publish_metrics()
        while self._failures:
            await self._slots.fail(*self._failures[0])
            del self._failures[0]

    async def resume(self, client: ClientKey) -> None:
        """Prepare to ask the store for the session of a client that may have given way, if there is one.

        A renewal that is under way must not reach the store after the question.
        """
        local_session = self._clients.get(client)
        if local_session is not None and local_session.must_check:
            local_session.resume()
            async with self._renewing:
                pass

    async def finish(self, user_id: str, device_key: str) -> bool:
        """Report sessions of a client that are finished as far as this process knows; return whether any was new.

        Raises:
            SlotsUnavailableError: they may not be recorded.
        """
        now = perf_counter()
        wanted = user_id, device_key
        async with self._renewing:
            finished = [
                each
                for each in self._sessions.values()
                if (each.session.request.user_id, each.session.request.device_key) == wanted
                and each.can_finish()
                and not each.is_finished
            ]
            for each in finished:
                each.finish()
            if finished:
                await self._slots.renew([each.renewal(now) for each in finished])
        return bool(finished)

    async def keep_renewed(self) -> None:
        """Renew at every tick, and sooner when there is something to report, until cancelled."""
        while True:
            self._wake.clear()
            # The failure is logged already; the next tick tries again.
            with suppress(SlotsUnavailableError):
                await self.renew()
            # `wait_for` would lose a cancellation that comes together with the wake-up, before Python 3.12.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._slots.limits.tick_sec):
                    await self._wake.wait()

    async def flush(self) -> None:
        """Report the last bytes of a process that stops. Its sessions go on elsewhere, or expire."""
        try:
            await self.renew()
        except SlotsUnavailableError:
            log.warning("last_bytes_not_reported", sessions=len(self._sessions))

    async def end_all(self) -> None:
        """End every session, where they can't outlive this process.

        Raises:
            SlotsUnavailableError: some may not have ended.
        """
        for session in await self._slots.all():
            await self.stop(session.id, EndReason.ENDED)

    def _finish_soon(self) -> None:
        """Report to other processes soon that a file was sent up to its end. Not at once: it may be fetched again."""
        if self._slots.is_shared and self._finishing is None:
            later = asyncio.get_running_loop().call_later
            self._finishing = later(FINISHED_SEC + FINISHED_SEC / 10, self._finish_now)

    def _finish_now(self) -> None:
        self._finishing = None
        self._wake.set()

    async def _send_pending_stops(self) -> None:
        for session_id, reason in list(self._pending_stops.items()):
            local_session = self._sessions.get(session_id)
            await self._slots.stop(session_id, reason, bytes_sent=local_session.bytes_sent if local_session else None)
            self._pending_stops.pop(session_id, None)

    def _apply(self, local_session: LocalSession, status: SessionStatus) -> None:
        if not isinstance(status, Ended):
            local_session.update(status)
            return
        self.end(local_session.session.id, status.reason)
        if status.reason is EndReason.UNKNOWN:
            # The store has no record that bytes could be added to.
            self._remove(local_session)

    def _publish_metrics(self) -> None:
        """Count each session where it was served last: the replicas' numbers add up to the platform's."""
        own = [each.session for each in self.all() if each.session.replica == self._replica]
        active = [session for session in own if session.state is State.ACTIVE]
        now = datetime.now(UTC)
        seconds = sum((now - session.started_at).total_seconds() for session in active)
        metrics.ACTIVE.set(len(active))
        metrics.QUEUED.set(len(own) - len(active))
        metrics.AVERAGE.set(seconds / max(len(active), 1))
        metrics.HIT_RATE.set(sum(session.request.source == HOT for session in active) / max(len(active), 1))

    def _if_unexpired(self, local_session: LocalSession | None) -> LocalSession | None:
        if (
            local_session is None
            or not local_session.is_active
            or local_session.must_check
            or local_session.is_idle_for(self._unexpired_sec)
        ):
            return None
        return local_session

    def _remove(self, local_session: LocalSession) -> None:
        self._sessions.pop(local_session.session.id, None)
        for client in local_session.clients:
            # The same client may have another session by now.
            if self._clients.get(client) is local_session:
                del self._clients[client]
