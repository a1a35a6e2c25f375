"""Which service answers which path, and what limits it: the embedded counterpart of gateway/nginx.conf.template.

`tests/contract` compares the two with each other, and with the OpenAPI document of every service.
"""

from __future__ import annotations

import re
from typing import Final

from kit.web.limits import Limited

_RULES: Final = (
    ("stream", r"/api/videos/[^/]+/(?:stream|lsv)(?:/.*)?"),
    ("progress", r"/api/videos/[^/]+/progress"),
    ("catalog", r"/api/videos(?:/.*)?"),
    ("progress", r"/api/users/me/(?:history|points|bookmarks)(?:/.*)?"),
    ("catalog", r"/api/users/me/watchlist(?:/.*)?"),
    ("progress", r"/api/progress(?:/.*)?"),
    ("progress", r"/api/admin/(?:views|points)(?:/.*)?"),
    ("stream", r"/api/(?:play-sessions|offline-licenses|admin/(?:streams|offline-licenses))(?:/.*)?"),
    ("auth", r"/api/(?:auth|users|corporations)(?:/.*)?"),
    ("auth", r"/api/admin/audit(?:/.*)?"),
    ("auth", r"/\.well-known/jwks\.json"),
    ("catalog", r"/api(?:/.*)?"),
)

_LIMITS: Final[tuple[tuple[Limited | None, str], ...]] = (
    # Bytes are limited by slots. The health check must never fail because the platform is busy.
    (None, r"/api/(?:videos/[^/]+/(?:stream|lsv)(?:/.*)?|health)"),
    # Requests that a page or a player makes by the dozen.
    ("user", r"/api/videos/[^/]+/(?:thumbnail|poster|storyboard|storyboard\.vtt|subtitles|progress)(?:/.*)?"),
    ("user", r"/api/(?:progress|uploads|search/suggest)(?:/.*)?"),
    ("user", r"/api/play-sessions/[^/]+/(?:heartbeat|end|qoe)"),
    ("address", r"/(?:api|\.well-known)(?:/.*)?"),
)

_COMPILED: Final = tuple((service, re.compile(pattern)) for service, pattern in _RULES)
_COMPILED_LIMITS: Final = tuple((limited, re.compile(pattern)) for limited, pattern in _LIMITS)


def service_for(path: str) -> str | None:
    """Return the service that answers a path; None for the web site's."""
    return next((service for service, pattern in _COMPILED if pattern.fullmatch(path)), None)


def limit_for(path: str) -> Limited | None:
    """Return what requests for a path count as; None where they are not counted."""
    return next((limited for limited, pattern in _COMPILED_LIMITS if pattern.fullmatch(path)), None)
