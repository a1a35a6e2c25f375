"""HTTP API of play sessions: translates, decides nothing."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from fastapi import APIRouter, Query, Request, Response, status

from kit.auth.authentication import CurrentCaller, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.web.schemas import Page, errors
from services.stream.clients.display_names import NameCache
from services.stream.domain import Source
from services.stream.http.authentication import TICKET
from services.stream.schemas import Device, Heartbeat, MySession, PlaySession, PlaySessionStart, Qoe
from services.stream.service import Streams
from services.stream.sessions import LocalSession, Sessions, StreamLimitError, WatchTarget
from services.stream.sessions.qoe import report
from services.stream.sessions.tickets import Tickets
from services.stream.slots import EndReason, Scope, Session

PATH = "/api/play-sessions"
STREAM_PATH = "/api/videos/{video_id}/stream"
_LOOK_SEC = 2.0
"""How long a start waits for a store to say where a file's index is; without, it is fetched as it is."""
_UNKNOWN_TIER = "nas"
_QUEUED: dict[int | str, dict[str, Any]] = {
    202: {"model": PlaySession, "description": "All slots are taken; the viewer waits. Ask again, or send heartbeats."}
}


class PlaySessionRoutes:
    """What the routes have in common.

    Args:
        sessions: the use cases.
        streams: finds videos.
        tickets: verifies those that beacons and heartbeats bring.
        titles: of videos, for lists.
        public_url: begins stream URLs.
    """

    def __init__(
        self, sessions: Sessions, streams: Streams, tickets: Tickets, titles: NameCache, public_url: str
    ) -> None:
        self._sessions = sessions
        self._streams = streams
        self._tickets = tickets
        self._titles = titles
        self._public_url = public_url

    def router(self) -> APIRouter:
        """All of them; `end` alone needs no login."""
        router = APIRouter()
        protected = protected_router()
        public = APIRouter()
        at_id = errors(ErrorCode.STREAM_SESSION_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE)
        started = _QUEUED | errors(
            ErrorCode.CONTENT_NOT_FOUND,
            ErrorCode.CONTENT_NOT_READY,
            ErrorCode.STREAM_RATE_LIMITED,
            ErrorCode.SERVICE_UNAVAILABLE,
        )
        some: dict[str, Any] = {"response_model": PlaySession, "response_model_exclude_none": True}
        protected.add_api_route(PATH, self.start, methods=["POST"], status_code=201, responses=started, **some)
        protected.add_api_route(PATH, self.mine, methods=["GET"], responses=errors(ErrorCode.SERVICE_UNAVAILABLE))
        protected.add_api_route(f"{PATH}/{{session_id}}", self.look, methods=["GET"], responses=_QUEUED | at_id, **some)
        protected.add_api_route(
            f"{PATH}/{{session_id}}", self.stop, methods=["DELETE"], status_code=204, responses=at_id
        )
        protected.add_api_route(
            f"{PATH}/{{session_id}}/heartbeat", self.heartbeat, methods=["POST"], responses=_QUEUED | at_id, **some
        )
        protected.add_api_route(
            f"{PATH}/{{session_id}}/qoe", self.qoe, methods=["POST"], status_code=204, responses=at_id
        )
        public.add_api_route(f"{PATH}/{{session_id}}/end", self.end, methods=["POST"], status_code=204, responses=at_id)
        router.include_router(protected)
        router.include_router(public)
        return router

    async def start(
        self, body: PlaySessionStart, request: Request, response: Response, caller: CurrentCaller
    ) -> PlaySession:
        """Asks for a slot: 201 and it plays, 202 and it waits, 429 with the devices that hold the viewer's slots.

        With `instead_of` it takes the place of another session of the same user, which ends in the same step.
        """
        agent = request.headers.get("User-Agent", "")
        source = await self._streams.find(body.video_id, caller)
        try:
            path, tier = await self._look_at(source)
        except ApiError as error:
            await self._sessions.never_began(caller, WatchTarget(source.video_id, _UNKNOWN_TIER), agent, error)
            raise
        try:
            playing = await self._sessions.start(
                caller,
                WatchTarget(source.video_id, tier),
                device=body.device_name,
                user_agent=agent,
                instead_of=body.instead_of,
            )
        except StreamLimitError as refusal:
            raise await refused(refusal, self._titles) from refusal
        playing.path = path
        return await self._shown(playing, caller, response)

    async def mine(self, caller: CurrentCaller) -> Page[MySession]:
        """The caller's sessions on all devices, oldest first; never more than the limit of one user."""
        sessions = await self._sessions.of_user(caller.user_id)
        titles = await self._titles.of(each.viewing.video_id for each in sessions)
        items = [MySession(**device_facts(each, titles), **sent_facts(each)) for each in sessions]
        return Page(items=items, page=1, page_size=self._sessions.limits.per_user, total=len(items))

    async def look(self, session_id: str, caller: CurrentCaller, response: Response) -> PlaySession:
        """How a session stands. Of one that waits it is a sign of life; of one that plays it is not."""
        playing = await self._sessions.look(session_id, caller, is_alive=False)
        return await self._shown(playing, caller, response)

    async def heartbeat(
        self, session_id: str, caller: CurrentCaller, response: Response, body: Heartbeat | None = None
    ) -> PlaySession:
        """Says that the player is still there, playing, paused or waiting; brings a fresh ticket."""
        ticket = self._tickets.verify(body.ticket) if body and body.ticket else None
        playing = await self._sessions.look(session_id, caller, is_alive=True, ticket=ticket)
        return await self._shown(playing, caller, response)

    async def stop(self, session_id: str, caller: CurrentCaller) -> None:
        """Ends a session of the caller, on whichever device; its slot is free at once."""
        await self._sessions.stop(session_id, EndReason.STOPPED, caller.user_id)

    async def end(self, session_id: str, ticket: str = Query("", alias=TICKET)) -> None:
        """Ends a session by its ticket: for the beacon of a page that closes, which can send neither header nor cookie.

        Any body is ignored. Ending one that is over already is no error.
        """
        verified = self._tickets.verify(ticket)
        if verified.session_id != session_id:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        try:
            await self._sessions.stop(session_id, EndReason.ENDED, verified.caller.user_id)
        except ApiError as error:
            if error.code != ErrorCode.STREAM_SESSION_NOT_FOUND:
                raise

    async def qoe(self, session_id: str, body: Qoe, caller: CurrentCaller) -> None:
        """Takes what the player measured since the session began; it becomes metrics."""
        playing = await self._sessions.look(session_id, caller, is_alive=False)
        report(playing, **body.model_dump())

    async def _look_at(self, source: Source) -> tuple[str, str]:
        """Where a player finds a video, up to the ticket, and the tier that has it; a slow store is not waited for.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE.
        """
        path = STREAM_PATH.format(video_id=source.video_id)
        try:
            async with asyncio.timeout(_LOOK_SEC):
                shown, _ = await self._streams.open(source)
                query = "start=0&" if await self._streams.plays_sooner_rearranged(source) else ""
                return f"{path}?{query}", shown.file.tier
        except TimeoutError:
            return f"{path}?", _UNKNOWN_TIER

    async def _shown(self, playing: LocalSession, caller: Caller, response: Response) -> PlaySession:
        session = playing.session
        limits = self._sessions.limits
        shown = PlaySession(
            session_id=session.id,
            status=session.state.value,
            video_id=session.viewing.video_id,
            device_name=session.viewing.device_name,
            since=session.started_at,
            heartbeat_sec=limits.idle_sec / 3,
            idle_sec=limits.idle_sec,
        )
        if playing.place is not None:
            response.status_code = status.HTTP_202_ACCEPTED
            response.headers["Retry-After"] = str(math.ceil(playing.place.retry_after_sec))
            shown.position = playing.place.position
            shown.retry_after_sec = playing.place.retry_after_sec
            return shown
        if not playing.path:
            # It was started on another replica.
            source = await self._streams.find(session.viewing.video_id, caller)
            playing.path, _ = await self._look_at(source)
        shown.ticket, shown.expires_at = self._sessions.ticket(playing, caller)
        shown.stream_url = f"{self._public_url}{playing.path}{TICKET}={shown.ticket}"
        return shown


def device_facts(session: Session, titles: dict[str, str]) -> dict[str, Any]:
    """What `Device` tells of a session."""
    viewing = session.viewing
    return {
        "session_id": session.id,
        "status": session.state.value,
        "device_name": viewing.device_name,
        "video_id": viewing.video_id,
        "title": titles.get(viewing.video_id),
        "since": session.started_at,
    }


def sent_facts(session: Session) -> dict[str, Any]:
    """What `MySession` tells besides."""
    return {"source": session.viewing.source, "bytes_sent": session.bytes_sent}


async def refused(refusal: StreamLimitError, titles: NameCache) -> ApiError:
    """A limit, as the viewer is told of it: with the devices that hold their slots."""
    named = await titles.of(each.viewing.video_id for each in refusal.sessions)
    devices = [Device(**device_facts(each, named)).model_dump(mode="json") for each in refusal.sessions]
    return ApiError(
        ErrorCode.STREAM_RATE_LIMITED,
        details={"scope": refusal.scope.value, "limit": refusal.limit, "devices": devices},
        headers={"Retry-After": "5"} if refusal.scope is Scope.SERVER else {},
    )
