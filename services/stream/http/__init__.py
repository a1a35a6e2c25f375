"""HTTP of stream: the ordinary routes, and a shorter way for requests that need no waiting."""

from services.stream.http.hot import HotPath
from services.stream.http.routes import build_routers

__all__ = ["HotPath", "build_routers"]
