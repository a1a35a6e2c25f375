"""gRPC client for display names: titles from catalog and names of users from auth, in batches, cached."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog
from grpc import aio

from kit.cache import LruCache
from kit.errors import ApiError
from kit.rpc import call
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub

log = structlog.get_logger()

KEPT_SEC = 60.0
CAPACITY = 5_000
BATCH = 100
DEADLINE_SEC = 1.0

Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
"""Takes at most `BATCH` ids; ids without a name are left out of the answer. Raises ApiError."""


class NameCache:
    """Names by id, kept for `KEPT_SEC`. An id has none when it is gone or the other service is away.

    Args:
        fetch: asks the service that has them.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._kept = LruCache[str, tuple[str | None, float]](CAPACITY)

    async def of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of these ids, as far as they have one."""
        unique_ids = list(dict.fromkeys(ids))
        now = time.monotonic()
        named = {each: kept[0] for each in unique_ids if (kept := self._kept.peek(each)) and now < kept[1]}
        missing = [each for each in unique_ids if each not in named]
        try:
            for begin in range(0, len(missing), BATCH):
                batch = missing[begin : begin + BATCH]
                found = await self._fetch(batch)
                for each in batch:
                    named[each] = found.get(each)
                    self._kept.put(each, (named[each], now + KEPT_SEC))
        except ApiError as error:
            log.info("names_unknown", code=error.code)
        return {each: name for each, name in named.items() if name}


def titles(channel: aio.Channel) -> NameCache:
    """Return the titles of videos, asked of catalog."""
    stub = CatalogServiceStub(channel)

    async def fetch(ids: Sequence[str]) -> Mapping[str, str]:
        answer = await call(stub.GetVideos, catalog_pb2.GetVideosRequest(ids=ids), deadline_sec=DEADLINE_SEC)
        return {video.id: video.title for video in answer.videos}

    return NameCache(fetch)


def display_names(channel: aio.Channel) -> NameCache:
    """Return the display names of users, asked of auth."""
    stub = AuthServiceStub(channel)

    async def fetch(ids: Sequence[str]) -> Mapping[str, str]:
        answer = await call(stub.GetUsers, auth_pb2.GetUsersRequest(ids=ids), deadline_sec=DEADLINE_SEC)
        return {user.id: user.display_name for user in answer.users}

    return NameCache(fetch)
