"""How many requests a minute are taken: counted by verified user, or by address for what is not verified.

The gateway in front, nginx or that of embedded mode, says in `LIMIT_HEADER` what a request with credentials counts as.
It can't verify credentials; the service can, and counts. Why: docs/adr/0018.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, get_args

from kit.auth.tokens import Caller
from kit.web.addresses import client_network

LIMIT_HEADER: Final = b"x-marquee-limit"
"""From the gateway: `address` for ordinary requests, `user` for what pages and players ask for by the dozen."""
WINDOW_SEC: Final = 60
MAX_KEYS: Final = 100_000

Limited = Literal["address", "user"]
"""What a path counts as: see `LIMIT_HEADER`."""
LIMITED: Final[frozenset[str]] = frozenset(get_args(Limited))


class Count(NamedTuple):
    """The answer of a limit."""

    is_taken: bool
    left: int
    """Requests that would still be taken now."""
    wait_sec: float
    """Until the next one is taken, where this one is not; until all are, otherwise."""


class RateLimit:
    """Takes so many requests at once, and as many in each minute after (the generic cell rate algorithm, ITU-T I.371).

    It does what nginx's `limit_req` does with a burst of as many, and keeps one number a key.

    Args:
        per_minute: how many.
        clock: seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._step = WINDOW_SEC / per_minute
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> Count:
        """Count a request, unless there is no room for it."""
        now = self._clock()
        busy_sec = max(0.0, self._full_at.get(key, now) - now) + self._step
        # Sums of steps are not exact.
        over_sec = busy_sec - WINDOW_SEC - 1e-6
        if over_sec > 0:
            return Count(False, 0, over_sec)
        self._full_at[key] = now + busy_sec
        self._full_at.move_to_end(key)
        if len(self._full_at) > MAX_KEYS:
            self._full_at.popitem(last=False)
        return Count(True, int((WINDOW_SEC - busy_sec + 1e-6) / self._step), busy_sec)


class Verdict(NamedTuple):
    """What becomes of a request, and the headers that tell of the limit (IETF draft `RateLimit` header fields)."""

    is_taken: bool
    headers: dict[str, str]


class RequestLimits:
    """The limits of a platform or of one of its processes.

    Args:
        per_address: ordinary requests a minute, of one login; of one address for what is not verified.
        per_user: requests a minute of one user, all told; of one address for what comes by the dozen unverified.
        clock: seconds that never go back.
    """

    def __init__(self, per_address: int, per_user: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._logins = RateLimit(per_address, clock)
        self._users = RateLimit(per_user, clock)
        self._anonymous, self._refused = (
            {"address": RateLimit(per_address, clock), "user": RateLimit(per_user, clock)} for _ in range(2)
        )

    def count_anonymous(self, limited: Limited, address: str) -> Verdict:
        """Count a request without credentials: it shares the limit of its address."""
        return _verdict(limited, self._anonymous[limited], client_network(address))

    def count_refused(self, limited: Limited, address: str) -> Verdict:
        """Count a request with wrong credentials: they share another limit, so that people can log in beside them."""
        return _verdict(limited, self._refused[limited], client_network(address))

    def count_verified(self, limited: Limited, caller: Caller, address: str) -> Verdict:
        """Count a request of a known user, whatever others at the same address do.

        People of one household often share an account: ordinary requests count by login. Basic credentials have none,
        and count by user and address.
        """
        if limited == "address":
            login = caller.login_session_id or f"{caller.user_id} {client_network(address)}"
            verdict = _verdict("login", self._logins, login)
            if not verdict.is_taken:
                return verdict
            of_user = _verdict("user", self._users, caller.user_id)
            return verdict if of_user.is_taken else of_user
        return _verdict("user", self._users, caller.user_id)


def _verdict(name: str, limit: RateLimit, key: str) -> Verdict:
    count = limit.take(key)
    wait_sec = max(1, math.ceil(count.wait_sec))
    headers = {
        "RateLimit-Policy": f'"{name}";q={limit.per_minute};w={WINDOW_SEC}',
        "RateLimit": f'"{name}";r={count.left};t={wait_sec}',
    }
    if not count.is_taken:
        headers |= {"Retry-After": str(wait_sec), "Cache-Control": "no-store"}
    return Verdict(count.is_taken, headers)
