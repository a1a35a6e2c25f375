"""HTTP of stream: the ordinary routes, and a shorter way for requests that need no waiting."""

from __future__ import annotations

from fastapi import APIRouter

from services.stream.clients.display_names import Names
from services.stream.http.admin import AdminRoutes
from services.stream.http.claims import Known
from services.stream.http.cors import preflight_router, shared_headers
from services.stream.http.direct import Direct
from services.stream.http.hot import HotPath
from services.stream.http.play_sessions import PlaySessionRoutes
from services.stream.http.routes import MediaRoutes
from services.stream.http.viewers import Viewers
from services.stream.service import Streams
from services.stream.sessions import Overview, Sessions
from services.stream.tickets import Tickets

__all__ = ["Direct", "HotPath", "Known", "MediaRoutes", "Viewers", "build_routers", "shared_headers"]


def build_routers(
    media: MediaRoutes,
    streams: Streams,
    sessions: Sessions,
    overview: Overview,
    *,
    tickets: Tickets,
    titles: Names,
    display_names: Names,
    public_url: str,
) -> dict[str, APIRouter]:
    """The routes of stream, by tag.

    Args:
        media: those for bytes.
        streams: finds videos and opens their files.
        sessions: who may have bytes.
        overview: how all sessions go.
        tickets: knows tickets.
        titles: of videos.
        display_names: of users.
        public_url: begins the URLs of play sessions; empty where bytes have no address of their own.
    """
    routers = {
        "stream": media.router(),
        "play sessions": PlaySessionRoutes(sessions, streams, tickets, titles, public_url).router(),
        "streams": AdminRoutes(sessions, overview, titles, display_names).router(),
    }
    if public_url:
        routers["preflights"] = preflight_router()
    return routers
