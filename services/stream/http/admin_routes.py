"""HTTP API of admins: list play sessions, and stop them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import ActingAdmin, CurrentAdmin, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Paging, errors, paging
from services.stream.clients.display_names import NameCache
from services.stream.http.play_session_routes import byte_fields, device_fields
from services.stream.schemas import StreamMetrics, StreamPage, StreamView
from services.stream.sessions import Sessions, SessionStatistics
from services.stream.slots import EndReason, Session

PATH = "/api/admin/streams"


class AdminRoutes:
    """The routes of admins.

    Args:
        sessions: the use cases.
        statistics: sums and rates over all sessions.
        titles: of videos.
        display_names: of users.
    """

    def __init__(
        self, sessions: Sessions, statistics: SessionStatistics, titles: NameCache, display_names: NameCache
    ) -> None:
        self._sessions = sessions
        self._statistics = statistics
        self._titles = titles
        self._display_names = display_names

    def router(self) -> APIRouter:
        """Return all of them."""
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
        """List all play sessions: playing ones, oldest first, then those that wait, in their order; with statistics.

        One response has all that a dashboard shows, so that watching it costs one request at a time.
        """
        del caller
        sessions = await self._sessions.all()
        rates = self._statistics.rates(sessions, datetime.now(UTC))
        some = sessions[page.offset : page.offset + page.page_size]
        titles = await self._titles.of(each.request.video_id for each in some)
        names = await self._display_names.of(each.request.user_id for each in some)
        items = [
            StreamView(
                **device_fields(each, titles),
                **byte_fields(each),
                user_id=each.request.user_id,
                display_name=names.get(each.request.user_id),
                kind=each.request.kind.value,
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
        """Return statistics of streaming on the whole platform."""
        del caller
        return await self._measure(await self._sessions.all())

    async def _measure(self, sessions: Sequence[Session]) -> StreamMetrics:
        summary = self._statistics.summary(sessions, datetime.now(UTC))
        limits = self._sessions.limits
        return StreamMetrics(
            **summary,
            max_streams=limits.platform,
            max_streams_per_user=limits.per_user,
            stream_queue=limits.queue,
            opens_in_sec=await self._sessions.seconds_until_accepting(),
        )

    async def stop(self, session_id: str, admin: ActingAdmin) -> None:
        """End any user's session; what it is sending is cut off."""
        await self._sessions.stop(session_id, EndReason.ADMIN, by=admin)
