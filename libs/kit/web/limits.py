"""Limits on requests a minute: counted by verified user, or by address for unverified requests.

The gateway in front, nginx or that of embedded mode, names in `LIMIT_HEADER` the limit of a request with credentials.
It can't verify credentials; the service can, and counts. Why: docs/adr/0018.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, get_args

from kit.auth.tokens import Caller
from kit.cache import LruCache
from kit.web.addresses import client_network

LIMIT_HEADER: Final = b"x-marquee-limit"
"""Set by the gateway: `address` for ordinary requests, `user` for those that pages and players send by the dozen."""
WINDOW_SEC: Final = 60
MAX_KEYS: Final = 100_000

Limited = Literal["address", "user"]
"""The limit that a path counts for: see `LIMIT_HEADER`."""
LIMITED: Final[frozenset[str]] = frozenset(get_args(Limited))


class Count(NamedTuple):
    """The result of counting a request against a limit."""

    is_allowed: bool
    left: int
    """Requests that would still be allowed now."""
    wait_sec: float
    """Seconds until the next one is allowed, where this one is not; until the whole limit is free, otherwise."""


class RateLimit:
    """Allows a burst of requests, and as many in each minute after it (the generic cell rate algorithm, ITU-T I.371).

    Behaves like nginx's `limit_req` with a burst of the same size, and keeps one number a key.

    Args:
        per_minute: the burst, and the requests a minute.
        clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._step = WINDOW_SEC / per_minute
        self._clock = clock
        self._full_at = LruCache[str, float](MAX_KEYS)

    def take(self, key: str) -> Count:
        """Count a request if the limit allows it."""
        now = self._clock()
        full_at = self._full_at.peek(key)
        busy_sec = self._step if full_at is None else max(0.0, full_at - now) + self._step
        # Sums of steps are not exact.
        over_sec = busy_sec - WINDOW_SEC - 1e-6
        if over_sec > 0:
            return Count(False, 0, over_sec)
        self._full_at.put(key, now + busy_sec)
        return Count(True, int((WINDOW_SEC - busy_sec + 1e-6) / self._step), busy_sec)


class LimitDecision(NamedTuple):
    """Whether a request is allowed, and the headers about the limit (IETF draft `RateLimit` header fields)."""

    is_allowed: bool
    headers: dict[str, str]


class RequestLimits:
    """The limits of a platform or of one of its processes.

    Args:
        per_address: ordinary requests a minute, of one login; of one address for unverified ones.
        per_user: requests a minute of one user in all; of one address for unverified requests with the limit `user`.
        clock: monotonic seconds.
    """

    def __init__(self, per_address: int, per_user: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._logins = RateLimit(per_address, clock)
        self._users = RateLimit(per_user, clock)
        self._anonymous, self._refused = (
            {"address": RateLimit(per_address, clock), "user": RateLimit(per_user, clock)} for _ in range(2)
        )

    def count_anonymous(self, limited: Limited, address: str) -> LimitDecision:
        """Count a request without credentials against the limit of its address."""
        return _decide(limited, self._anonymous[limited], client_network(address))

    def count_refused(self, limited: Limited, address: str) -> LimitDecision:
        """Count a request with invalid credentials: their own limit keeps logging in possible."""
        return _decide(limited, self._refused[limited], client_network(address))

    def count_verified(self, limited: Limited, caller: Caller, address: str) -> LimitDecision:
        """Count a request of a verified user, independent of others at the same address.

        Members of a household often share an account: ordinary requests count by login session. Basic credentials have
        none, and count by user and address.
        """
        if limited == "address":
            login = caller.login_session_id or f"{caller.user_id} {client_network(address)}"
            decision = _decide("login", self._logins, login)
            if not decision.is_allowed:
                return decision
            of_user = _decide("user", self._users, caller.user_id)
            return decision if of_user.is_allowed else of_user
        return _decide("user", self._users, caller.user_id)


def _decide(name: str, limit: RateLimit, key: str) -> LimitDecision:
    count = limit.take(key)
    wait_sec = max(1, math.ceil(count.wait_sec))
    headers = {
        "RateLimit-Policy": f'"{name}";q={limit.per_minute};w={WINDOW_SEC}',
        "RateLimit": f'"{name}";r={count.left};t={wait_sec}',
    }
    if not count.is_allowed:
        headers |= {"Retry-After": str(wait_sec), "Cache-Control": "no-store"}
    return LimitDecision(count.is_allowed, headers)
