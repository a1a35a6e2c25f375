"""Which service answers which path: the embedded counterpart of gateway/nginx.conf.template.

`tests/contract` holds the two against each other, and against the OpenAPI document of every service.
"""

from __future__ import annotations

import re
from typing import Final

_RULES: Final = (
    ("stream", r"/api/videos/[^/]+/(?:stream|lsv)(?:/.*)?"),
    ("progress", r"/api/videos/[^/]+/progress"),
    ("catalog", r"/api/videos(?:/.*)?"),
    ("progress", r"/api/users/me/(?:history|points|bookmarks)(?:/.*)?"),
    ("progress", r"/api/progress(?:/.*)?"),
    ("progress", r"/api/admin/(?:views|points)(?:/.*)?"),
    ("stream", r"/api/(?:play-sessions|offline-licenses|admin/streams)(?:/.*)?"),
    ("auth", r"/api/(?:auth|users|corporations)(?:/.*)?"),
    ("auth", r"/api/admin/audit(?:/.*)?"),
    ("auth", r"/\.well-known/jwks\.json"),
    ("catalog", r"/api(?:/.*)?"),
)

_COMPILED: Final = tuple((service, re.compile(pattern)) for service, pattern in _RULES)


def service_for(path: str) -> str | None:
    """The service that answers a path; None for what the web site serves."""
    return next((service for service, pattern in _COMPILED if pattern.fullmatch(path)), None)
