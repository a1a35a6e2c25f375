"""HTTP API of admins: who streams what, and stopping it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import ActingAdmin, CurrentAdmin, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Paging, errors, paging
from services.stream.clients.display_names import NameCache
from services.stream.http.play_session_routes import device_facts, sent_facts
from services.stream.schemas import StreamMetrics, StreamPage, StreamView
from services.stream.sessions import Sessions, SessionStatistics
from services.stream.slots import EndReason, Session

PATH = "/api/admin/streams"


class AdminRoutes:
    """The routes of admins.

    Args:
        sessions: the use cases.
        overview: how all sessions go.
        titles: of videos.
        display_names: of users.
    """

    def __init__(
        self, sessions: Sessions, overview: SessionStatistics, titles: NameCache, display_names: NameCache
    ) -> None:
        self._sessions = sessions
        self._overview = overview
        self._titles = titles
        self._display_names = display_names

    def router(self) -> APIRouter:
        """All of them."""
        router = protected_router()
        away = errors(ErrorCode.SERVICE_UNAVAILABLE)
        router.add_api_route(PATH, self.streams, methods=["GET"], responses=away)
        router.add_api_route(f"{PATH}/metrics", self.metrics, methods=["GET"], responses=away)
        router.add_api_route(
            f"{PATH}/{{session_id}}",
            self.stop,
            methods=["DELETE"],
            status_code=204,
            responses=away | errors(ErrorCode.STREAM_SESSION_NOT_FOUND),
        )
        return router

    async def streams(self, caller: CurrentAdmin, page: Annotated[Paging, Depends(paging)]) -> StreamPage:
        """All play sessions: playing ones, oldest first, then those that wait, in their order; and how streaming goes.

        One answer has all that a dashboard shows, so that watching it costs one request at a time.
        """
        del caller
        sessions = await self._sessions.all()
        rates = self._overview.rates(sessions, datetime.now(UTC))
        some = sessions[page.offset : page.offset + page.page_size]
        titles = await self._titles.of(each.viewing.video_id for each in some)
        names = await self._display_names.of(each.viewing.user_id for each in some)
        items = [
            StreamView(
                **device_facts(each, titles),
                **sent_facts(each),
                user_id=each.viewing.user_id,
                display_name=names.get(each.viewing.user_id),
                kind=each.viewing.kind.value,
                seen_at=each.seen_at,
                rate_mbps=round(rates[each.id], 3),
                replica=each.replica,
            )
            for each in some
        ]
        return StreamPage(
            items=items,
            page=page.page,
            page_size=page.page_size,
            total=len(sessions),
            metrics=await self._measure(sessions),
        )

    async def metrics(self, caller: CurrentAdmin) -> StreamMetrics:
        """How streaming goes on the whole platform."""
        del caller
        return await self._measure(await self._sessions.all())

    async def _measure(self, sessions: Sequence[Session]) -> StreamMetrics:
        summary = self._overview.summary(sessions, datetime.now(UTC))
        limits = self._sessions.limits
        return StreamMetrics(
            **summary,
            max_streams=limits.platform,
            max_streams_per_user=limits.per_user,
            stream_queue=limits.queue,
            opens_in_sec=await self._sessions.opens_in(),
        )

    async def stop(self, session_id: str, admin: ActingAdmin) -> None:
        """Ends anybody's session; what it is sending is cut off."""
        await self._sessions.stop(session_id, EndReason.ADMIN, by=admin)
