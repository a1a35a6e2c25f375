"""The gateway of embedded mode: sends a request to one of the five applications, or serves the web site.

Requests without credentials are counted here, by address; those with by the services, which verify them. Media are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.marquee.aliases import resolve_alias
from apps.marquee.assets import PrecompressedFiles
from apps.marquee.routes import limit_for, service_for
from kit.auth.authentication import has_credentials
from kit.errors import ApiError, ErrorCode
from kit.web.errors import error_response
from kit.web.limits import LIMIT_HEADER, Limited, RequestLimits

log = structlog.get_logger()

_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:{origin}; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'; worker-src 'self' blob:; connect-src 'self'{origin}; frame-ancestors 'none'; "
    "base-uri 'none'; object-src 'none'; form-action 'self'"
)


def content_security_policy(media_origin: str = "") -> str:
    """Return the policy of what pages may load, and from where (W3C Content Security Policy Level 3).

    Args:
        media_origin: origin of films besides the site itself: `https://media.example.org`.
    """
    return _POLICY.format(origin=f" {media_origin}" if media_origin else "")


class Gateway:
    """An ASGI application made of others.

    Args:
        apps: the services' applications, by name.
        web: the built web site.
        limits: how many requests without credentials are taken; the services count those with.
        media_origin: origin of films besides the site itself.
    """

    def __init__(
        self,
        apps: Mapping[str, ASGIApp],
        web: Path,
        limits: RequestLimits,
        media_origin: str = "",
    ) -> None:
        self._apps = apps
        self._site = Site(web, media_origin)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on to the service or site that its path belongs to."""
        path = resolve_alias(scope.get("path", ""))
        if path != scope.get("path", ""):
            scope = {**scope, "path": path, "raw_path": quote(path).encode("ascii")}
        service = service_for(path)
        if service and scope["type"] == "http" and (limited := limit_for(path)):
            if has_credentials(scope["headers"]):
                scope = {**scope, "headers": [*scope["headers"], (LIMIT_HEADER, limited.encode())]}
            else:
                await self._count(limited, service, scope, receive, send)
                return
        await (self._apps[service] if service else self._site)(scope, receive, send)

    async def _count(self, limited: Limited, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request without credentials, and pass it on unless its address has sent too many."""
        client = scope.get("client")
        address = client[0] if client else ""
        decision = self._limits.count_anonymous(limited, address)
        if not decision.is_allowed:
            log.warning("http_rate_limited", client=address, path=scope["path"], limit=decision.headers["RateLimit"])
            refusal = ApiError(ErrorCode.RATE_LIMITED, headers=decision.headers)
            language = Headers(scope=scope).get("accept-language", "")
            await error_response(refusal, language)(scope, receive, send)
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(decision.headers)
            await send(message)

        await self._apps[service](scope, receive, send_with_limits)


class Site:
    """The web site: hashed assets are cached for good; unknown pages get the application, which has its own routes."""

    def __init__(self, folder: Path, media_origin: str = "") -> None:
        self._policy = content_security_policy(media_origin)
        self._files = PrecompressedFiles(directory=folder, html=True, check_dir=False)
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = await self._find(scope)
        path = scope["path"]
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache"
        )
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        await response(scope, receive, send)

    async def _find(self, scope: Scope) -> Response:
        try:
            return await self._files.get_response(self._files.get_path(scope), scope)
        except HTTPException as error:
            if error.status_code == 404 and _wants_page(scope):  # noqa: PLR2004 - RFC 9110, 15.5.5
                if (self._folder / "index.html").is_file():
                    return await self._files.get_response("index.html", scope)
                return PlainTextResponse("The web site is not built: run `make run`, or `make build`.\n", 503)
            headers = {"Allow": "GET, HEAD"} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else None
            return PlainTextResponse(f"{error.detail}\n", error.status_code, headers)


def _wants_page(scope: Scope) -> bool:
    if scope["path"].startswith(("/assets/", "/metrics", "/healthz", "/readyz")):
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")
