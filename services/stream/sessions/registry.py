"""What this process serves: every session it has to do with, and the batches in which the store is told of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from kit.audit import Admin
from kit.cache import LruCache
from services.stream.sessions import metrics
from services.stream.sessions.local_session import Client, LocalSession, monotonic
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
"""How long nothing may be asked of an implicit session before it counts as finished, when its file went out to the end;
otherwise it is a tick. What is asked then has to go by the store."""
_STOP_SEC = 1.0
"""How long a response that was cut off may take to end."""


class _Failure(NamedTuple):
    session_id: str
    code: str
    message: str


class SessionRegistry:
    """The sessions of this process. Looking one up does no I/O; `renew` is one round trip for all of them.

    A session that is over is kept until its last bytes are told.

    Args:
        slots: where the sessions of all replicas are.
        replica: what this process is called there.
    """

    def __init__(self, slots: SlotStore, replica: str) -> None:
        self._slots = slots
        self._replica = replica
        self._sure_sec = slots.limits.idle_sec - slots.limits.gap_sec
        """Who is heard of sooner than this after the last time goes on by the next renewal, even if that is late."""
        metrics.LIMIT.set(slots.limits.platform)
        self._kept: dict[str, LocalSession] = {}
        self._clients: dict[Client, LocalSession] = {}
        self._ended = LruCache[str, EndReason](_ENDED)
        """Why sessions ended that can't come back, so that whoever asks on for them is answered from here."""
        self._failures: list[_Failure] = []
        self._to_stop: dict[str, EndReason] = {}
        self._wake = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._finishing: asyncio.TimerHandle | None = None

    def known(self, session_id: str) -> LocalSession | None:
        """A session that is not over; None says nothing."""
        playing = self._kept.get(session_id)
        return playing if playing is not None and playing.ended is None else None

    def active(self, session_id: str) -> LocalSession | None:
        """A session that may have bytes, also in the store's opinion; None says nothing."""
        return self._sure(self._kept.get(session_id))

    def client(self, client: Client) -> LocalSession | None:
        """The implicit session of a client, if it may have bytes, also in the store's opinion; None says nothing."""
        return self._sure(self._clients.get(client))

    def silent(self, client: Client) -> LocalSession | None:
        """The implicit session of a client, if all that speaks against it is that the store may have given it up."""
        playing = self._clients.get(client)
        return playing if playing is not None and playing.is_active else None

    def ended(self, session_id: str) -> EndReason | None:
        """Why a session is over, if that is known here."""
        playing = self._kept.get(session_id)
        return playing.ended if playing is not None and playing.ended else self._ended.peek(session_id)

    def all(self) -> list[LocalSession]:
        """Those that are not over."""
        return [playing for playing in self._kept.values() if playing.ended is None]

    def keep(
        self,
        status: Active | Queued,
        login_session_id: str = "",
        client: Client | None = None,
        *,
        is_alive: bool = True,
    ) -> LocalSession:
        """Has a session renewed from now on.

        Args:
            standing: as the store has it.
            login_id: the login that it is played with, if that is known.
            client: who has no ticket and is recognised by this.
            is_alive: whether its player has just shown a sign of life.
        """
        playing = self._kept.get(status.session.id)
        if playing is None:
            playing = self._kept[status.session.id] = LocalSession(status, login_session_id, self._finish_soon)
        else:
            playing.stands(status)
        playing.login_session_id = playing.login_session_id or login_session_id
        playing.resume()
        playing.must_ask = False
        if is_alive:
            playing.touch()
        if client:
            self._clients[client] = playing
            playing.clients.add(client)
        return playing

    def end(self, session_id: str, reason: EndReason) -> None:
        """Serves nothing of a session any more."""
        if reason is not EndReason.UNKNOWN:
            self._ended.put(session_id, reason)
        playing = self._kept.get(session_id)
        if playing is not None and playing.ended is None:
            playing.end(reason)

    async def stop(
        self, session_id: str, reason: EndReason, user_id: str | None = None, by: Admin | None = None
    ) -> bool:
        """Ends a session for good, wherever it is served; answers whether there was one.

        Args:
            session_id: which.
            reason: why.
            user_id: only if it is this user's.
            by: the administrator who wants it, for the audit log.

        Raises:
            SlotsUnavailable: here it is over; elsewhere it will be when the store is back.
        """
        playing = self.known(session_id)
        bytes_sent = None
        if playing is not None:
            if user_id not in {None, playing.session.request.user_id}:
                return False
            # First, so that the last bytes are counted.
            self.end(session_id, reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SEC):
                    await playing.quiet()
            bytes_sent = playing.bytes_sent
        stopped = await self._slots.stop(session_id, reason, user_id=user_id, bytes_sent=bytes_sent, by=by)
        if stopped is not None:
            self.end(session_id, reason)
        return stopped is not None

    def stop_soon(self, session_id: str, reason: EndReason) -> None:
        """The same without waiting: here at once, everywhere else with the next renewal."""
        self.end(session_id, reason)
        self._to_stop[session_id] = reason
        self._wake.set()

    def fail(self, playing: LocalSession, code: str, message: str) -> None:
        """Has an error of a session told with the next renewal; each code once."""
        if code not in playing.errors:
            playing.errors.add(code)
            self._failures.append(_Failure(playing.session.id, code, message))
            self._wake.set()

    async def renew(self) -> None:
        """Tells the store of everything here, and takes over what it says.

        Raises:
            SlotsUnavailable: the next renewal tells it all again. Who is playing goes on.
        """
        await self._stop_those_due()
        now = monotonic()
        # One that ended since the last time, and all of whose bytes are counted, is told of once more.
        last = [each for each in self._kept.values() if each.ended and not each.responses]
        async with self._renewing:
            for each in self._kept.values() if self._slots.is_shared else ():
                quiet_sec = FINISHED_SEC if each.reached_end else self._slots.limits.tick_sec
                if each.can_finish() and now - each.seen_at >= quiet_sec:
                    each.finish()
            statuses = await self._slots.renew([each.renewal(now) for each in self._kept.values()])
        for playing in last:
            if isinstance(statuses[playing.session.id], Ended):
                self._drop(playing)
        for session_id, status in statuses.items():
            if kept := self._kept.get(session_id):
                self._take_over(kept, status)
        self._count()
        while self._failures:
            await self._slots.fail(*self._failures[0])
            del self._failures[0]

    async def resume(self, client: Client) -> None:
        """Prepare to ask the store for the session of a client that may have given way, if there is one.

        What is being told of it must not be heard after the question.
        """
        playing = self._clients.get(client)
        if playing is not None and playing.must_ask:
            playing.resume()
            async with self._renewing:
                pass

    async def finish(self, user_id: str, device_key: str) -> bool:
        """Tell the store which sessions of a client are finished as far as this process knows. Return if any was new.

        Raises:
            SlotsUnavailable: it may not have heard of it.
        """
        now = monotonic()
        wanted = user_id, device_key
        async with self._renewing:
            finished = [
                each
                for each in self._kept.values()
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
        """Renews at every tick, and sooner when there is something to tell, until cancelled."""
        while True:
            self._wake.clear()
            # The store and the log know of it; it is tried again at the next tick.
            with suppress(SlotsUnavailableError):
                await self.renew()
            # `wait_for` would lose a cancellation that comes together with the wake-up, before Python 3.12.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._slots.limits.tick_sec):
                    await self._wake.wait()

    async def flush(self) -> None:
        """Tells the last bytes of a process that stops. Its sessions go on elsewhere, or run out."""
        try:
            await self.renew()
        except SlotsUnavailableError:
            log.warning("last_bytes_not_told", sessions=len(self._kept))

    async def end_all(self) -> None:
        """Ends every session, where they can't outlive this process.

        Raises:
            SlotsUnavailable: some may not have ended.
        """
        for session in await self._slots.all():
            await self.stop(session.id, EndReason.ENDED)

    def _finish_soon(self) -> None:
        """Have other processes know soon that a file went out to its end. Not at once: it may be fetched again."""
        if self._slots.is_shared and self._finishing is None:
            later = asyncio.get_running_loop().call_later
            self._finishing = later(FINISHED_SEC + FINISHED_SEC / 10, self._finish_now)

    def _finish_now(self) -> None:
        self._finishing = None
        self._wake.set()

    async def _stop_those_due(self) -> None:
        for session_id, reason in list(self._to_stop.items()):
            playing = self._kept.get(session_id)
            await self._slots.stop(session_id, reason, bytes_sent=playing.bytes_sent if playing else None)
            self._to_stop.pop(session_id, None)

    def _take_over(self, playing: LocalSession, status: SessionStatus) -> None:
        if not isinstance(status, Ended):
            playing.stands(status)
            return
        self.end(playing.session.id, status.reason)
        if status.reason is EndReason.UNKNOWN:
            # The store has no record that bytes could be added to.
            self._drop(playing)

    def _count(self) -> None:
        """Counts each session where it was served last: the replicas' numbers add up to the platform's."""
        own = [each.session for each in self.all() if each.session.replica == self._replica]
        playing = [session for session in own if session.state is State.ACTIVE]
        now = datetime.now(UTC)
        seconds = sum((now - session.started_at).total_seconds() for session in playing)
        metrics.ACTIVE.set(len(playing))
        metrics.QUEUED.set(len(own) - len(playing))
        metrics.AVERAGE.set(seconds / max(len(playing), 1))
        metrics.HIT_RATE.set(sum(session.request.source == HOT for session in playing) / max(len(playing), 1))

    def _sure(self, playing: LocalSession | None) -> LocalSession | None:
        if playing is None or not playing.is_active or playing.must_ask or playing.is_silent(self._sure_sec):
            return None
        return playing

    def _drop(self, playing: LocalSession) -> None:
        self._kept.pop(playing.session.id, None)
        for client in playing.clients:
            # The same client may have another session by now.
            if self._clients.get(client) is playing:
                del self._clients[client]
