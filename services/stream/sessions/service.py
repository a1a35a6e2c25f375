"""Use cases of play sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from kit.aio.single_flight import SingleFlight
from kit.audit import Admin
from kit.auth.tokens import Caller
from kit.cache import LruCache
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from services.stream.sessions.device_names import device_key, device_name
from services.stream.sessions.local_session import Client, LocalSession, monotonic
from services.stream.sessions.outcomes import (
    WatchTarget,
    granted,
    is_of,
    new_viewing,
    session_of,
    session_over,
    unavailable,
)
from services.stream.sessions.registry import SessionRegistry
from services.stream.sessions.tickets import Ticket, Tickets
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    LimitReached,
    Limits,
    Outcome,
    Queued,
    Renewal,
    Session,
    SessionRequest,
    SessionStatus,
    SlotStore,
    SlotsUnavailable,
    Unavailable,
)
from services.stream.slots.models import to_ms

log = structlog.get_logger()
TOLD_SEC = 60.0
TOLD = 1_000
GIVE_WAY_TRIES = 5
GIVE_WAY_PAUSE_SEC = 0.2


class Sessions:
    """Starts, finds and ends play sessions.

    What is asked of the store is asked once: sixteen connections that come together with one ticket, or as one client,
    wait for one answer.

    Args:
        slots: the sessions of all replicas.
        register: those of this one.
        tickets: issues and knows tickets.
    """

    def __init__(self, slots: SlotStore, register: SessionRegistry, tickets: Tickets) -> None:
        self._slots = slots
        self._register = register
        self._tickets = tickets
        self._told = LruCache[tuple[str, str], float](TOLD)
        """Videos and error codes that were told, and when."""
        self._lookups = SingleFlight[Hashable, LocalSession]()

    @property
    def limits(self) -> Limits:
        """How many may watch."""
        return self._slots.limits

    async def start(
        self,
        caller: Caller,
        shown: WatchTarget,
        *,
        device: str | None = None,
        user_agent: str = "",
        instead_of: str | None = None,
    ) -> LocalSession:
        """A new session, which plays or waits. One round trip to the store.

        Args:
            caller: who.
            shown: what.
            device: what the viewer calls the device.
            user_agent: names it otherwise.
            instead_of: a session of the same user that ends with it.

        Raises:
            StreamLimitError: a limit is reached.
            ApiError: SERVICE_UNAVAILABLE while the store can't say.
        """
        viewing = new_viewing(caller, shown, device_name(device, user_agent))
        old = self._register.known(instead_of) if instead_of else None
        if old is not None and is_of(old, caller):
            # Of what is served here, the store should know all bytes before it says what they came to.
            with suppress(SlotsUnavailable):
                await self._slots.renew([old.renewal(monotonic())])
        standing = granted(await self._slots.start(viewing, instead_of=instead_of))
        if old is not None and is_of(old, caller):
            self._register.end(old.session.id, EndReason.REPLACED)
        return self._register.keep(standing, caller.login_session_id)

    async def implicit(self, caller: Caller, shown: WatchTarget, address: str, user_agent: bytes) -> LocalSession:
        """The session of a client that came without a ticket; it plays, or is refused.

        Raises:
            StreamLimitError: a limit is reached.
            ApiError: SERVICE_UNAVAILABLE while the store can't say.
        """
        client = Client(caller.user_id, shown.video_id, address, user_agent)
        if playing := self._register.client(client):
            return playing

        async def begin() -> LocalSession:
            agent = user_agent.decode("latin-1")
            viewing = new_viewing(caller, shown, device_name(None, agent), device_key(address, agent))
            await self._register.resume(client)
            outcome = await self._start_implicit(viewing)
            if isinstance(outcome, Unavailable) and (silent := self._register.silent(client)):
                silent.touch()
                return silent
            return self._register.keep(granted(outcome), caller.login_session_id, client)

        return await self._lookups.run(client, begin)

    async def _start_implicit(self, viewing: SessionRequest) -> Outcome:
        """Start a session. Where a limit refuses it, those of the same client that are finished give way.

        That they are finished is known where they were served; another replica tells it within moments.
        """
        outcome = await self._slots.start(viewing)
        for _ in range(GIVE_WAY_TRIES):
            if not isinstance(outcome, LimitReached):
                break
            with suppress(SlotsUnavailable):
                if not await self._register.finish(viewing.user_id, viewing.device_key):
                    if not any(self._may_finish_elsewhere(each, viewing) for each in outcome.sessions):
                        break
                    await asyncio.sleep(GIVE_WAY_PAUSE_SEC)
            outcome = await self._slots.start(viewing)
        return outcome

    def _may_finish_elsewhere(self, session: Session, viewing: SessionRequest) -> bool:
        """Whether another replica may tell soon that it is finished with a session of the same client."""
        if session.viewing.device_key != viewing.device_key:
            return False
        playing = self._register.known(session.id)
        return playing is None or playing.is_finished

    async def join(self, ticket: Ticket) -> LocalSession:
        """The session of a ticket, when it plays; the store is asked if this replica has not met it lately.

        While the store is away a good ticket is believed: who is playing goes on, on whichever replica.

        Raises:
            ApiError: STREAM_SESSION_NOT_FOUND when it is over.
        """
        if playing := self._register.active(ticket.session_id):
            return playing
        self._refuse_ended(ticket.session_id)

        async def find() -> LocalSession:
            known = self._register.known(ticket.session_id)
            remembered, bytes_sent = (known.session, known.bytes_sent) if known else (session_of(ticket), 0)
            try:
                # Should the store have lost its data, this is how it learns.
                standing = (await self._slots.renew([Renewal(remembered, bytes_sent)]))[ticket.session_id]
            except SlotsUnavailable:
                standing = Active(remembered)
            playing = self._found(ticket.session_id, standing, ticket.caller.login_session_id)
            if not playing.is_active:
                raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
            return playing

        return await self._lookups.run(ticket.session_id, find)

    async def look(
        self, session_id: str, caller: Caller, *, is_alive: bool, ticket: Ticket | None = None
    ) -> LocalSession:
        """A session of the caller. One that plays, and was heard of here lately, costs no question to the store.

        One that waits shows a sign of life by being asked for, and learns its place.

        Args:
            session_id: which.
            caller: whose it must be.
            is_alive: whether this is a sign of life of one that plays, too: a heartbeat.
            ticket: brings it back when the store lost its data.

        Raises:
            ApiError: STREAM_SESSION_NOT_FOUND; SERVICE_UNAVAILABLE.
        """
        if not is_id(session_id):
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        playing = self._register.known(session_id)
        if playing is None:
            self._refuse_ended(session_id)
            playing = await self._ask_for(session_id, caller, ticket, is_alive=is_alive)
        elif is_of(playing, caller) and (
            playing.place is not None or (is_alive and self._register.active(session_id) is None)
        ):
            playing = await self._ask_again(playing)
        if not is_of(playing, caller):
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        if is_alive or playing.place is not None:
            playing.touch()
        return playing

    async def stop(
        self, session_id: str, reason: EndReason, user_id: str | None = None, by: Admin | None = None
    ) -> None:
        """Ends a session, wherever it is served; the audit log is told when an administrator does.

        Raises:
            ApiError: STREAM_SESSION_NOT_FOUND when there is none, or not of this user; SERVICE_UNAVAILABLE when only
                this replica knows that it is over: the others will when the store is back.
        """
        try:
            if not is_id(session_id) or not await self._register.stop(session_id, reason, user_id, by):
                raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        except SlotsUnavailable as error:
            raise unavailable() from error

    async def stop_user(self, user_id: str) -> None:
        """Ends all sessions of a user who may not watch any more.

        Raises:
            SlotsUnavailable: some may go on; ask again.
        """
        for session in await self._slots.of_user(user_id):
            await self._register.stop(session.id, EndReason.REVOKED)

    def stop_login(self, login_id: str) -> None:
        """Ends the sessions that this process knows to belong to a login: at once here, soon everywhere."""
        for playing in self._register.all():
            if login_id and playing.login_id == login_id:
                self._register.stop_soon(playing.session.id, EndReason.REVOKED)

    async def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions, oldest first.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._slots.of_user(user_id)
        except SlotsUnavailable as error:
            raise unavailable() from error

    async def all(self) -> list[Session]:
        """Everybody's: playing ones, oldest first, then waiting ones in their order.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._slots.all()
        except SlotsUnavailable as error:
            raise unavailable() from error

    async def opens_in(self) -> float:
        """Seconds until new sessions are granted; not 0 after the store was away or lost its data.

        Raises:
            ApiError: SERVICE_UNAVAILABLE.
        """
        try:
            return await self._slots.opens_in()
        except SlotsUnavailable as error:
            raise unavailable() from error

    def ticket(self, playing: LocalSession, caller: Caller) -> tuple[str, datetime]:
        """A fresh ticket of a session that plays, and when it ends."""
        session = playing.session
        ticket = Ticket(
            session_id=session.id,
            video_id=session.viewing.video_id,
            caller=caller,
            started_ms=to_ms(session.started_at),
            source=session.viewing.source,
            device_name=session.viewing.device_name,
            expires_at=self._tickets.expiry(),
        )
        return self._tickets.issue(ticket), datetime.fromtimestamp(ticket.expires_at, UTC)

    def fail(self, playing: LocalSession, code: str, message: str) -> None:
        """Has it told that a session could not be served."""
        self._register.fail(playing, code, message)

    async def never_began(self, caller: Caller, shown: WatchTarget, user_agent: str, error: ApiError) -> None:
        """Tells of a video that could not be served to somebody without a session: one that failed at once.

        Who tries again and again tells it once in `TOLD_SEC`. Where there is no slot, or no store, the log must do.
        """
        now = monotonic()
        key = shown.video_id, error.code
        told_at = self._told.peek(key)
        if told_at is not None and now - told_at < TOLD_SEC:
            return
        self._told.put(key, now)
        viewing = new_viewing(caller, shown, device_name(None, user_agent))
        with suppress(SlotsUnavailable):
            if isinstance(await self._slots.start(viewing), Active | Queued):
                await self._slots.fail(viewing.session_id, error.code, str(error))
                await self._slots.stop(viewing.session_id, EndReason.ENDED)

    async def _ask_for(self, session_id: str, caller: Caller, ticket: Ticket | None, *, is_alive: bool) -> LocalSession:
        try:
            standing = await self._slots.get(session_id)
            is_theirs = ticket and (ticket.session_id, ticket.caller.user_id) == (session_id, caller.user_id)
            if standing == Ended(EndReason.UNKNOWN) and ticket and is_theirs:
                standing = (await self._slots.renew([Renewal(session_of(ticket))]))[session_id]
            elif (
                not isinstance(standing, Ended)
                and standing.session.viewing.user_id == caller.user_id
                and (is_alive or isinstance(standing, Queued))
            ):
                standing = (await self._slots.renew([Renewal(standing.session)]))[session_id]
        except SlotsUnavailable as error:
            raise unavailable() from error
        if not isinstance(standing, Ended) and standing.session.viewing.user_id != caller.user_id:
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND)
        # Only a player's own login is the session's: who looks may be on another device.
        return self._found(session_id, standing, caller.login_session_id if is_alive else "", is_alive=is_alive)

    async def _ask_again(self, playing: LocalSession) -> LocalSession:
        """For a viewer who wants to know now, not at the next tick: who waits, or was away for long."""
        if playing.place is not None:
            playing.touch()
        try:
            standings = await self._slots.renew([Renewal(playing.session, playing.bytes_sent)])
        except SlotsUnavailable as error:
            if playing.is_active:
                return playing
            raise unavailable() from error
        return self._found(playing.session.id, standings[playing.session.id], playing.login_id)

    def _found(self, session_id: str, standing: SessionStatus, login_id: str, *, is_alive: bool = True) -> LocalSession:
        if isinstance(standing, Ended):
            self._register.end(session_id, standing.reason)
            raise session_over(standing.reason)
        return self._register.keep(standing, login_id, is_alive=is_alive)

    def _refuse_ended(self, session_id: str) -> None:
        if reason := self._register.ended(session_id):
            raise session_over(reason)
