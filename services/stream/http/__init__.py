"""HTTP of stream: the ordinary routes. `services.stream.fastpath` answers what needs no waiting."""

from __future__ import annotations

from fastapi import APIRouter

from services.stream.clients.display_names import NameCache
from services.stream.http.admin_routes import AdminRoutes
from services.stream.http.authentication import StreamAuthenticator
from services.stream.http.cors import SharedMedia, preflight_router, shared_headers
from services.stream.http.media_routes import MediaRoutes
from services.stream.http.offline_license_routes import OfflineLicenseRoutes
from services.stream.http.play_session_routes import PlaySessionRoutes
from services.stream.protection import Protection
from services.stream.service import Streams
from services.stream.sessions import Sessions, SessionStatistics
from services.stream.sessions.tickets import Tickets

__all__ = ["MediaRoutes", "SharedMedia", "StreamAuthenticator", "build_routers", "shared_headers"]


def build_routers(
    media: MediaRoutes,
    streams: Streams,
    sessions: Sessions,
    statistics: SessionStatistics,
    *,
    tickets: Tickets,
    titles: NameCache,
    display_names: NameCache,
    protection: Protection,
    public_url: str,
) -> dict[str, APIRouter]:
    """Return the routes of stream, by tag.

    Args:
        media: those for bytes.
        streams: finds videos and opens their files.
        sessions: the use cases of play sessions.
        statistics: sums and rates over all sessions.
        tickets: verifies tickets.
        titles: of videos.
        display_names: of users.
        protection: keys, licences and watermarks of protected films.
        public_url: begins the URLs of play sessions; empty where bytes have no address of their own.
    """
    routers = {
        "stream": media.router(),
        "play sessions": PlaySessionRoutes(sessions, streams, tickets, titles, protection, public_url).router(),
        "offline licenses": OfflineLicenseRoutes(protection, streams).router(),
        "streams": AdminRoutes(sessions, statistics, titles, display_names).router(),
    }
    if public_url:
        routers["preflights"] = preflight_router()
    return routers
