"""HTTP API of play sessions: translates, decides nothing."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from fastapi import APIRouter, Query, Request, Response, status

from kit.auth.authentication import CurrentCaller, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.web.app import join_routers
from kit.web.schemas import Page, errors
from services.stream.clients.display_names import NameCache
from services.stream.domain import AssetKind, Source
from services.stream.http.authentication import TICKET
from services.stream.protection import Protection
from services.stream.protection.device_keys import PreparedKey
from services.stream.schemas import (
    Device,
    Heartbeat,
    KeyRequest,
    MySession,
    PlaySession,
    PlaySessionStart,
    Qoe,
    SessionKey,
    WatermarkView,
)
from services.stream.service import Streams
from services.stream.sessions import LocalSession, Sessions, StreamLimitError, WatchTarget
from services.stream.sessions.qoe import report
from services.stream.sessions.tickets import Tickets
from services.stream.slots import EndReason, Scope, Session

PATH = "/api/play-sessions"
STREAM_PATH = "/api/videos/{video_id}/stream"
LSV_PATH = "/api/videos/{video_id}/lsv"
_INDEX_TIMEOUT_SEC = 2.0
"""How long a start waits to learn where a file's index is; after that the file is fetched as it is."""
UNKNOWN_TIER = "nas"
"""The tier that a session is reported with when its file could not be opened."""
_QUEUED: dict[int | str, dict[str, Any]] = {
    202: {"model": PlaySession, "description": "All slots are taken; the viewer waits. Ask again, or send heartbeats."}
}


class PlaySessionRoutes:
    """The routes of play sessions.

    Args:
        sessions: the use cases.
        streams: finds videos.
        tickets: verifies the tickets of beacons and heartbeats.
        titles: of videos, for lists.
        protection: keys and watermarks of protected films.
        public_url: begins stream URLs.
    """

    def __init__(
        self,
        sessions: Sessions,
        streams: Streams,
        tickets: Tickets,
        titles: NameCache,
        protection: Protection,
        public_url: str,
    ) -> None:
        self._sessions = sessions
        self._streams = streams
        self._tickets = tickets
        self._titles = titles
        self._protection = protection
        self._public_url = public_url

    def router(self) -> APIRouter:
        """Return all of them; `end` alone needs no login."""
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
        protected.add_api_route(
            f"{PATH}/{{session_id}}/key",
            self.key,
            methods=["POST"],
            responses=at_id | errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.STREAM_SESSION_NOT_FOUND),
        )
        public.add_api_route(f"{PATH}/{{session_id}}/end", self.end, methods=["POST"], status_code=204, responses=at_id)
        return join_routers(protected, public)

    async def start(
        self, body: PlaySessionStart, request: Request, response: Response, caller: CurrentCaller
    ) -> PlaySession:
        """Ask for a slot: 201 and it plays, 202 and it waits, 429 with the devices that hold the viewer's slots.

        With `instead_of` it takes the place of another session of the same user, which ends in the same step.

        Of a protected film the answer has the content key for `public_key`. While it waits it has none: ask for it at
        `key` when it plays.
        """
        agent = request.headers.get("User-Agent", "")
        source = await self._streams.find(body.video_id, caller)
        prepared = None
        if source.is_protected:
            prepared = await self._protection.device_keys.prepare(
                source, caller.user_id, body.public_key, body.wrap_algorithm
            )
        try:
            path, tier = await self._locate(source)
        except ApiError as error:
            await self._sessions.report_failed_start(caller, WatchTarget(source.video_id, UNKNOWN_TIER), agent, error)
            raise
        try:
            local_session = await self._sessions.start(
                caller,
                WatchTarget(source.video_id, tier),
                device=body.device_name,
                user_agent=agent,
                instead_of=body.instead_of,
            )
        except StreamLimitError as error:
            raise await limit_error(error, self._titles) from error
        local_session.path, local_session.asset_id = path, asset_of(source)
        view = await self._view(local_session, caller, response)
        if prepared and local_session.queued is None:
            key = await self._session_key(local_session, caller, prepared)
            view.server_public_key, view.wrapped_key = key.server_public_key, key.wrapped_key
            view.content_version, view.watermark = key.content_version, key.watermark
        return view

    async def key(self, session_id: str, body: KeyRequest, caller: CurrentCaller) -> SessionKey:
        """Return the content key of the protected film that a session plays, for a device; again and again, if asked.

        A session that waits has none: it is answered as one that is over, with the reason `queued`.
        """
        local_session = await self._sessions.find_own(session_id, caller, is_alive=True)
        if local_session.queued is not None:
            raise ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND, details={"reason": "queued"})
        source = await self._streams.find_protected(local_session.session.request.video_id, caller)
        prepared = await self._protection.device_keys.prepare(
            source, caller.user_id, body.public_key, body.wrap_algorithm
        )
        return await self._session_key(local_session, caller, prepared)

    async def mine(self, caller: CurrentCaller) -> Page[MySession]:
        """List the caller's sessions on all devices, oldest first; never more than the limit of one user."""
        sessions = await self._sessions.of_user(caller.user_id)
        titles = await self._titles.of(each.request.video_id for each in sessions)
        items = [MySession(**device_fields(each, titles), **byte_fields(each)) for each in sessions]
        return Page(items=items, page=1, page_size=self._sessions.limits.per_user, total=len(items))

    async def look(self, session_id: str, caller: CurrentCaller, response: Response) -> PlaySession:
        """Return the status of a session. For one that waits it is a sign of life; for one that plays it is not."""
        local_session = await self._sessions.find_own(session_id, caller, is_alive=False)
        return await self._view(local_session, caller, response)

    async def heartbeat(
        self, session_id: str, caller: CurrentCaller, response: Response, body: Heartbeat | None = None
    ) -> PlaySession:
        """Report that the player is still there, playing, paused or waiting; return a fresh ticket."""
        ticket = self._tickets.verify(body.ticket) if body and body.ticket else None
        local_session = await self._sessions.find_own(session_id, caller, is_alive=True, ticket=ticket)
        return await self._view(local_session, caller, response)

    async def stop(self, session_id: str, caller: CurrentCaller) -> None:
        """End a session of the caller, on whichever device; its slot is free at once."""
        await self._sessions.stop(session_id, EndReason.STOPPED, caller.user_id)

    async def end(self, session_id: str, ticket: str = Query("", alias=TICKET)) -> None:
        """End a session by its ticket: for the beacon of a page that closes, which can send neither header nor cookie.

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
        """Record what the player measured since the session began; it becomes metrics."""
        local_session = await self._sessions.find_own(session_id, caller, is_alive=False)
        report(local_session, **body.model_dump())

    async def _locate(self, source: Source) -> tuple[str, str]:
        """Return the path of a video, up to the ticket, and its tier; a slow store is not waited for.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE.
        """
        path = path_of(source)
        try:
            async with asyncio.timeout(_INDEX_TIMEOUT_SEC):
                representation, _ = await self._streams.open(source)
                query = "start=0&" if await self._streams.is_index_last(source) else ""
                return f"{path}?{query}", representation.file.tier
        except TimeoutError:
            return f"{path}?", UNKNOWN_TIER

    async def _session_key(self, local_session: LocalSession, caller: Caller, prepared: PreparedKey) -> SessionKey:
        session = local_session.session
        mark = await self._protection.viewers.mark(caller.user_id, session.request.device_name, is_offline=False)
        server_public_key, wrapped_key = prepared.bind_to_session(session.id)
        return SessionKey(
            server_public_key=server_public_key,
            wrapped_key=wrapped_key,
            content_version=prepared.source.version,
            watermark=WatermarkView.model_validate(mark),
        )

    async def _follow_pack(self, local_session: LocalSession, caller: Caller) -> None:
        """Have the next ticket open the pack of now: one with a new key may have taken the place of that at the start.

        While that can't be found out, the session goes on with what it has.
        """
        try:
            source = await self._streams.find(local_session.session.request.video_id, caller)
        except ApiError as error:
            if error.code != ErrorCode.SERVICE_UNAVAILABLE:
                raise
            return
        local_session.path, local_session.asset_id = f"{path_of(source)}?", asset_of(source)

    async def _view(self, local_session: LocalSession, caller: Caller, response: Response) -> PlaySession:
        session = local_session.session
        limits = self._sessions.limits
        view = PlaySession(
            session_id=session.id,
            status=session.state.value,
            video_id=session.request.video_id,
            device_name=session.request.device_name,
            since=session.started_at,
            heartbeat_sec=limits.idle_sec / 3,
            idle_sec=limits.idle_sec,
        )
        if local_session.queued is not None:
            response.status_code = status.HTTP_202_ACCEPTED
            response.headers["Retry-After"] = str(math.ceil(local_session.queued.retry_after_sec))
            view.position = local_session.queued.position
            view.retry_after_sec = local_session.queued.retry_after_sec
            return view
        if not local_session.path:
            # The session was started on another replica.
            source = await self._streams.find(session.request.video_id, caller)
            local_session.path, _ = await self._locate(source)
            local_session.asset_id = asset_of(source)
        elif local_session.asset_id:
            await self._follow_pack(local_session, caller)
        if local_session.asset_id:
            view.protection, view.scope = AssetKind.LSV.value, "ONLINE_STREAM_ONLY"
        view.ticket, view.expires_at = self._sessions.ticket(local_session, caller)
        view.stream_url = f"{self._public_url}{local_session.path}{TICKET}={view.ticket}"
        return view


def path_of(source: Source) -> str:
    """Return the path of a video's bytes."""
    return (LSV_PATH if source.is_protected else STREAM_PATH).format(video_id=source.video_id)


def asset_of(source: Source) -> str:
    """Return the asset that tickets of a video have to name; empty for its source, which they open without."""
    return source.asset_id if source.is_protected else ""


def device_fields(session: Session, titles: dict[str, str]) -> dict[str, Any]:
    """Return the fields of `Device` for a session."""
    request = session.request
    return {
        "session_id": session.id,
        "status": session.state.value,
        "device_name": request.device_name,
        "video_id": request.video_id,
        "title": titles.get(request.video_id),
        "since": session.started_at,
    }


def byte_fields(session: Session) -> dict[str, Any]:
    """Return the fields that `MySession` adds to those of `Device`."""
    return {"source": session.request.source, "bytes_sent": session.bytes_sent}


async def limit_error(error: StreamLimitError, titles: NameCache) -> ApiError:
    """Return the response to a viewer who met a limit, with the devices that hold their slots."""
    named = await titles.of(each.request.video_id for each in error.sessions)
    devices = [Device(**device_fields(each, named)).model_dump(mode="json") for each in error.sessions]
    return ApiError(
        ErrorCode.STREAM_RATE_LIMITED,
        details={"scope": error.scope.value, "limit": error.limit, "devices": devices},
        headers={"Retry-After": "5"} if error.scope is Scope.SERVER else {},
    )
