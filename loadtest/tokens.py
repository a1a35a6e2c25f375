"""Measure the cost of authentication: verifying access tokens, and logging in.

python -m loadtest.tokens

Everything runs in one process on one event loop, without HTTP: the figures are those of one core. A token seen before
is a new bytes object each time, as in requests. Logins call auth's use cases on SQLite, with the default hash cost.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from kit.auth.tokens import TokenVerifier
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.errors import ApiError
from services.auth.__main__ import MIGRATIONS
from services.auth.credentials.keys import KeyRing
from services.auth.credentials.login_attempts import LoginAttempts
from services.auth.credentials.passwords import PasswordHasher
from services.auth.models import User
from services.auth.service import Accounts, Actor, Logins, utc_now

TOKENS = 4_000
SEEN_ROUNDS = 200
COST = 12
LOGINS = 24
PASSWORD = "correct horse battery"  # noqa: S105 - of a throw-away account
_TICK_SEC = 0.001


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _user() -> User:
    now = datetime.now(UTC)
    return User(
        id="0190f0f0-0000-7000-8000-000000000001",
        login_id="alice",
        login_key="alice",
        display_name="Alice",
        password_hash="",
        role="member",
        status="active",
        claims_version=1,
        created_at=now,
        updated_at=now,
        version=1,
    )


async def verifying(keys: KeyRing) -> None:
    """Measure tokens per second: new ones, ones seen before, and those on the fast path."""

    async def fetch() -> str:
        return keys.current.jwks_json()

    user = _user()
    tokens = [keys.current.mint(user, "session", 900) for _ in range(TOKENS)]
    verifier = TokenVerifier(fetch)
    await verifier.verify(tokens.pop())
    started = time.process_time()
    for token in tokens:
        await verifier.verify(token)
    _say(f"verify, new tokens:          {len(tokens) / (time.process_time() - started):>12,.0f} /s")
    few = [token.encode() for token in tokens[:1000]]
    started = time.process_time()
    for _ in range(SEEN_ROUNDS):
        for raw in few:
            await verifier.verify(raw.decode("latin-1"))
    _say(f"verify, tokens seen before:  {SEEN_ROUNDS * len(few) / (time.process_time() - started):>12,.0f} /s")
    started = time.process_time()
    for _ in range(SEEN_ROUNDS):
        for raw in few:
            verifier.get_cached(raw.decode("latin-1"))
    _say(f"known, tokens seen before:   {SEEN_ROUNDS * len(few) / (time.process_time() - started):>12,.0f} /s")


async def logging_in(folder: Path, keys: KeyRing) -> None:
    """Measure logins and bare hashes per second, how long logins block the event loop, and unknown accounts."""
    url = f"sqlite+aiosqlite:///{folder}/auth.db"
    await asyncio.to_thread(upgrade, MIGRATIONS, url)
    database, hasher, attempts = Database(url), PasswordHasher(COST, ""), LoginAttempts(None, 10**6, 10**6, 10**6)
    accounts = Accounts(database, hasher, attempts, utc_now)
    logins = Logins(database, hasher, keys, attempts, access_ttl_sec=900, refresh_ttl_sec=3600, clock=utc_now)
    await accounts.register(
        login_id="alice", password=PASSWORD, display_name="Alice", registration="open", actor=Actor()
    )
    kept = await hasher.hash(PASSWORD)

    async def per_second(work: Callable[[int], Awaitable[object]]) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(work(number) for number in range(LOGINS)))
        return LOGINS / (time.perf_counter() - started)

    bare = await per_second(lambda _: hasher.verify(PASSWORD, kept))
    delays: list[float] = []
    watching = asyncio.ensure_future(_watch(delays))
    real = await per_second(lambda number: logins.log_in("alice", PASSWORD, f"10.0.0.{number}"))
    watching.cancel()
    _say(f"bare hashes, cost {COST}:         {bare:>12,.1f} /s")
    _say(f"logins:                      {real:>12,.1f} /s ({real / bare:.0%} of bare hashes)")
    _say(f"event loop held up meanwhile: p50 {_ms(delays, 0.5):.1f} ms, p99 {_ms(delays, 0.99):.1f} ms")

    async def refused(login: str) -> float:
        started = time.perf_counter()
        try:
            await logins.verify(login, "wrong", "10.0.0.1")
        except ApiError:
            return time.perf_counter() - started
        raise AssertionError("that password is wrong")

    times: dict[str, list[float]] = {"alice": [], "unknown": []}
    for _ in range(LOGINS):
        for login, taken in times.items():
            taken.append(await refused(login))
    for login, taken in times.items():
        middle, spread = statistics.median(taken) * 1000, statistics.stdev(taken) * 1000
        _say(f"wrong password of {login + ':':9} median {middle:>8.1f} ms, standard deviation {spread:.1f} ms")
    hasher.close()
    await database.close()


async def _watch(delays: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_TICK_SEC)
        delays.append(time.perf_counter() - before - _TICK_SEC)


def _ms(delays: list[float], share: float) -> float:
    return sorted(delays)[int(share * (len(delays) - 1))] * 1000


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyRing(Path(folder) / "keys.json")
        await verifying(keys)
        await logging_in(Path(folder), keys)


if __name__ == "__main__":
    asyncio.run(_measure())
