"""Use cases of play sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter

import structlog

from kit.aio.single_flight import SingleFlight
from kit.audit import Admin
from kit.auth.tokens import Caller
from kit.cache import LruCache
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from services.stream.sessions.conversions import (
    WatchTarget,
    belongs_to,
    new_request,
    require_granted,
    service_unavailable_error,
    session_ended_error,
    session_from_ticket,
)
from services.stream.sessions.device_names import device_key, device_name
from services.stream.sessions.local_session import ClientKey, LocalSession
from services.stream.sessions.registry import SessionRegistry
from services.stream.sessions.tickets import Ticket, Tickets
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    LimitReached,
    Limits,
    Queued,
    Renewal,
    Session,
    SessionRequest,
    SessionStatus,
    SlotStore,
    SlotsUnavailableError,
    StartResult,
    Unavailable,
)
from services.stream.slots.models import to_ms

log = structlog.get_logger()
REPORT_INTERVAL_SEC = 60.0
MAX_REPORTED = 1_000
GIVE_WAY_TRIES = 5
GIVE_WAY_PAUSE_SEC = 0.2


class Sessions:
    """Start, find and end play sessions.

    Questions to the store are shared: sixteen connections that come together with one ticket, or as one client, wait
    for one answer.

    Args:
        slots: the sessions of all replicas.
        registry: those of this one.
        tickets: issues and verifies tickets.
    """

    def __init__(self, slots: SlotStore, registry: SessionRegistry, tickets: Tickets) -> None:
        self._slots = slots
        self._registry = registry
        self._tickets = tickets
        self._reported = LruCache[tuple[str, str], float](MAX_REPORTED)
        """When failed starts were reported, by video and error code."""
        self._lookups = SingleFlight[Hashable, LocalSession]()

    @property
    def limits(self) -> Limits:
        """Return the limits of the slots."""
        return self._slots.limits

    async def start(
        self,
        caller: Caller,
        target: WatchTarget,
        *,
        device: str | None = None,
        user_agent: str = "",
        instead_of: str | None = None,
    ) -> LocalSession:
        """Start a session, which plays or waits. It takes one round trip to the store.

        Args:
            caller: the viewer.
            target: the video.
            device: the viewer's name for the device.
            user_agent: names the device otherwise.
            instead_of: a session of the same user that ends in the same step.

        Raises:
            StreamLimitError: a limit is reached.
            ApiError: SERVICE_UNAVAILABLE while the store can't be asked.
        """
        request = new_request(caller, target, device_name(device, user_agent))
        old = self._registry.get(instead_of) if instead_of else None
        if old is not None and belongs_to(old, caller):
            # The store should have all bytes that were sent here before it emits the event with their sum.
            with suppress(SlotsUnavailableError):
                await self._slots.renew([old.renewal(perf_counter())])
        status = require_granted(await self._slots.start(request, instead_of=instead_of))
        if old is not None and belongs_to(old, caller):
            self._registry.end(old.session.id, EndReason.REPLACED)
        return self._registry.add(status, caller.login_session_id)

    async def get_or_start_implicit(
        self, caller: Caller, target: WatchTarget, address: str, user_agent: bytes
    ) -> LocalSession:
        """Return the session of a client without a ticket; start one when there is none.

        Raises:
            StreamLimitError: a limit is reached.
            ApiError: SERVICE_UNAVAILABLE while the store can't be asked.
        """
        client = ClientKey(caller.user_id, target.video_id, address, user_agent)
        if local_session := self._registry.get_active_of_client(client):
            return local_session

        async def start() -> LocalSession:
            agent = user_agent.decode("latin-1")
            request = new_request(caller, target, device_name(None, agent), device_key(address, agent))
            await self._registry.resume(client)
            result = await self._start_implicit(request)
            if isinstance(result, Unavailable) and (possibly_expired := self._registry.get_possibly_expired(client)):
                possibly_expired.touch()
                return possibly_expired
            return self._registry.add(require_granted(result), caller.login_session_id, client)

        return await self._lookups.run(client, start)

    async def _start_implicit(self, request: SessionRequest) -> StartResult:
        """Start a session. Where a limit refuses it, those of the same client that are finished give way.

        Only the replicas that served them know that they are finished; another replica reports it within moments.
        """
        result = await self._slots.start(request)
        for _ in range(GIVE_WAY_TRIES):
            if not isinstance(result, LimitReached):
                break
            with suppress(SlotsUnavailableError):
                if not await self._registry.finish(request.user_id, request.device_key):
                    if not any(self._may_finish_elsewhere(each, request) for each in result.sessions):
                        break
                    await asyncio.sleep(GIVE_WAY_PAUSE_SEC)
            result = await self._slots.start(request)
        return result

    def _may_finish_elsewhere(self, session: Session, request: SessionRequest) -> bool:
        """Return whether another replica may report soon that it is finished with a session of the same client."""
        if session.request.device_key != request.device_key:
            return False
        local_session = self._registry.get(session.id)
        return local_session is None or local_session.is_finished

    async def join(self, ticket: Ticket) -> LocalSession:
        """Return the session of a ticket, when it plays; ask the store if this replica has not seen it lately.

        While the store is away a good ticket is enough: playing sessions go on, on whichever replica.

        Raises:
            ApiError: STREAM_SESSION_NOT_FOUND when it is over.
        """
        if local_session := self._registry.get_active(ticket.session_id):
            return local_session
        self._raise_if_ended(ticket.session_id)

        async def find() -> LocalSession:
            own = self._registry.get(ticket.session_id)
            remembered, bytes_sent = (own.session, own.bytes_sent) if own else (session_from_ticket(ticket), 0)
            try:
                # If the store has lost its data, this restores the session.
                status = (await self._slots.renew([Renewal(remembered, bytes_sent)]))[ticket.session_id]
            except SlotsUnavailableError:
                status = Active(remembered)
            local_session = self._adopt(ticket.session_id, status, ticket.caller.login_session_id)
            if not local_session.is_active:
                raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
            return local_session

        return await self._lookups.run(ticket.session_id, find)

    async def find_own(
        self, session_id: str, caller: Caller, *, is_alive: bool, ticket: Ticket | None = None
    ) -> LocalSession:
        """Return a session of the caller. One that plays, and was seen here lately, takes no question to the store.

        For one that waits, the request is a sign of life, and its place is fetched.

        Args:
            session_id: the session.
            caller: the user it must be of.
            is_alive: whether this is a sign of life of one that plays, too: a heartbeat.
            ticket: restores it when the store lost its data.

        Raises:
            ApiError: STREAM_SESSION_NOT_FOUND; SERVICE_UNAVAILABLE.
        """
        if not is_id(session_id):
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        local_session = self._registry.get(session_id)
        if local_session is None:
            self._raise_if_ended(session_id)
            local_session = await self._fetch(session_id, caller, ticket, is_alive=is_alive)
        elif belongs_to(local_session, caller) and (
            local_session.queued is not None or (is_alive and self._registry.get_active(session_id) is None)
        ):
            local_session = await self._refresh(local_session)
        if not belongs_to(local_session, caller):
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        if is_alive or local_session.queued is not None:
            local_session.touch()
        return local_session

    async def stop(
        self, session_id: str, reason: EndReason, user_id: str | None = None, by: Admin | None = None
    ) -> None:
        """End a session, wherever it is served; an administrator's stop is recorded for the audit log.

        Raises:
            ApiError: STREAM_SESSION_NOT_FOUND when there is none, or not of this user; SERVICE_UNAVAILABLE when only
                this replica knows that it is over: the others will when the store is back.
        """
        try:
            if not is_id(session_id) or not await self._registry.stop(session_id, reason, user_id, by):
                raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        except SlotsUnavailableError as error:
            raise service_unavailable_error() from error

    async def stop_user(self, user_id: str) -> None:
        """End all sessions of a user who may not watch any more.

        Raises:
            SlotsUnavailableError: some may go on; try again.
        """
        for session in await self._slots.of_user(user_id):
            await self._registry.stop(session.id, EndReason.REVOKED)

    def stop_login(self, login_session_id: str) -> None:
        """End the sessions that this process knows to belong to a login session: at once here, soon everywhere."""
        for local_session in self._registry.all():
            if login_session_id and local_session.login_session_id == login_session_id:
                self._registry.stop_soon(local_session.session.id, EndReason.REVOKED)

    async def of_user(self, user_id: str) -> list[Session]:
        """Return a user's sessions, oldest first.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._slots.of_user(user_id)
        except SlotsUnavailableError as error:
            raise service_unavailable_error() from error

    async def all(self) -> list[Session]:
        """Return all sessions: playing ones, oldest first, then waiting ones in their order.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._slots.all()
        except SlotsUnavailableError as error:
            raise service_unavailable_error() from error

    async def seconds_until_accepting(self) -> float:
        """Return the seconds until new sessions are granted; not 0 after the store was away or lost its data.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._slots.seconds_until_accepting()
        except SlotsUnavailableError as error:
            raise service_unavailable_error() from error

    def ticket(self, local_session: LocalSession, caller: Caller) -> tuple[str, datetime]:
        """Return a fresh ticket of a session that plays, and when it expires."""
        session = local_session.session
        ticket = Ticket(
            session_id=session.id,
            video_id=session.request.video_id,
            caller=caller,
            started_ms=to_ms(session.started_at),
            source=session.request.source,
            device_name=session.request.device_name,
            expires_at=self._tickets.expiry(),
            asset_id=local_session.asset_id,
        )
        return self._tickets.issue(ticket), datetime.fromtimestamp(ticket.expires_at, UTC)

    def fail(self, local_session: LocalSession, code: str, message: str) -> None:
        """Report that a session could not be served."""
        self._registry.fail(local_session, code, message)

    async def report_failed_start(self, caller: Caller, target: WatchTarget, user_agent: str, error: ApiError) -> None:
        """Report a video that could not be served to a viewer without a session, as a session that failed at once.

        Repeated failures are reported once in `REPORT_INTERVAL_SEC`. Without a slot, or a store, only the log has it.
        """
        now = perf_counter()
        key = target.video_id, error.code
        reported_at = self._reported.peek(key)
        if reported_at is not None and now - reported_at < REPORT_INTERVAL_SEC:
            return
        self._reported.put(key, now)
        request = new_request(caller, target, device_name(None, user_agent))
        with suppress(SlotsUnavailableError):
            if isinstance(await self._slots.start(request), Active | Queued):
                await self._slots.fail(request.session_id, error.code, str(error))
                await self._slots.stop(request.session_id, EndReason.ENDED)

    async def _fetch(self, session_id: str, caller: Caller, ticket: Ticket | None, *, is_alive: bool) -> LocalSession:
        try:
            status = await self._slots.get(session_id)
            is_theirs = ticket and (ticket.session_id, ticket.caller.user_id) == (session_id, caller.user_id)
            if status == Ended(EndReason.UNKNOWN) and ticket and is_theirs:
                status = (await self._slots.renew([Renewal(session_from_ticket(ticket))]))[session_id]
            elif (
                not isinstance(status, Ended)
                and status.session.request.user_id == caller.user_id
                and (is_alive or isinstance(status, Queued))
            ):
                status = (await self._slots.renew([Renewal(status.session)]))[session_id]
        except SlotsUnavailableError as error:
            raise service_unavailable_error() from error
        if not isinstance(status, Ended) and status.session.request.user_id != caller.user_id:
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        # Only a player's own login session is recorded: a status may be read from another device.
        return self._adopt(session_id, status, caller.login_session_id if is_alive else "", is_alive=is_alive)

    async def _refresh(self, local_session: LocalSession) -> LocalSession:
        """Ask the store now, not at the next tick: for a viewer who waits, or was away for long."""
        if local_session.queued is not None:
            local_session.touch()
        try:
            statuses = await self._slots.renew([Renewal(local_session.session, local_session.bytes_sent)])
        except SlotsUnavailableError as error:
            if local_session.is_active:
                return local_session
            raise service_unavailable_error() from error
        return self._adopt(local_session.session.id, statuses[local_session.session.id], local_session.login_session_id)

    def _adopt(
        self, session_id: str, status: SessionStatus, login_session_id: str, *, is_alive: bool = True
    ) -> LocalSession:
        if isinstance(status, Ended):
            self._registry.end(session_id, status.reason)
            raise session_ended_error(status.reason)
        return self._registry.add(status, login_session_id, is_alive=is_alive)

    def _raise_if_ended(self, session_id: str) -> None:
        if reason := self._registry.end_reason(session_id):
            raise session_ended_error(reason)
