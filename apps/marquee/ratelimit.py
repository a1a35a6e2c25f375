"""How many requests a minute are taken, in embedded mode. In front of containers nginx counts (gateway/)."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from apps.marquee.routes import Limited
from kit.callers import Authenticate
from kit.errors import ApiError
from kit.http import error_response

log = structlog.get_logger()

WINDOW_SEC: Final = 60


class RateLimits:
    """Counts requests in a sliding window of a minute, by the client's address or by user.

    What is counted by user is counted by address, up to the same number, for whoever is not known to a service yet.

    Args:
        per_address: requests a minute from one address.
        per_user: requests a minute of one user, of those that come by the dozen.
    """

    def __init__(self, per_address: int, per_user: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limits: dict[Limited, RateLimitItemPerMinute] = {
            "address": RateLimitItemPerMinute(per_address),
            "user": RateLimitItemPerMinute(per_user),
        }

    async def take(self, limited: Limited, scope: Scope, service: Authenticate | None) -> Verdict:
        """Counts a request, unless there is no room for it.

        Args:
            limited: by what it is counted.
            scope: the request.
            service: knows the callers of the service that it is for.
        """
        limit = self._limits[limited]
        client = scope.get("client")
        key = client[0] if client else ""
        if limited == "user" and service is not None and (caller := service.known(dict(scope["headers"]))):
            key = caller.user_id
        is_taken = await self._limiter.hit(limit, limited, key)
        reset_at, left = await self._limiter.get_window_stats(limit, limited, key)
        reset_sec = max(1, math.ceil(reset_at - time.time()))
        headers = {
            "RateLimit-Policy": f'"{limited}";q={limit.amount};w={WINDOW_SEC}',
            "RateLimit": f'"{limited}";r={left};t={reset_sec}',
        }
        if is_taken:
            return Verdict(headers, None)
        log.warning("http_rate_limited", client=client and client[0], path=scope["path"], limited=limited)
        headers |= {"Retry-After": str(reset_sec), "Cache-Control": "no-store"}
        refusal = ApiError("RATE_LIMITED", headers=headers)
        return Verdict(headers, error_response(refusal, Headers(scope=scope).get("accept-language", "")))


class Verdict:
    """What becomes of a request.

    Args:
        headers: tell of the limit (IETF draft "RateLimit header fields for HTTP", `RateLimit` and `RateLimit-Policy`).
        refusal: the answer to a request that is not taken.
    """

    __slots__ = ("_headers", "refusal")

    def __init__(self, headers: Mapping[str, str], refusal: Response | None) -> None:
        self._headers = headers
        self.refusal = refusal

    def telling(self, send: Send) -> Callable[[Message], Awaitable[None]]:
        """ASGI's `send`, with the limit in the answer's headers."""

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        return tell
