"""HTTP of stream: the ordinary routes, and a shorter way for requests that need no waiting."""

from services.stream.http.admin import AdminRoutes
from services.stream.http.claims import Known
from services.stream.http.cors import SHARED, preflight_router
from services.stream.http.hot import HotPath
from services.stream.http.play_sessions import PlaySessionRoutes
from services.stream.http.routes import MediaRoutes
from services.stream.http.viewers import Viewers

__all__ = [
    "SHARED",
    "AdminRoutes",
    "HotPath",
    "Known",
    "MediaRoutes",
    "PlaySessionRoutes",
    "Viewers",
    "preflight_router",
]
