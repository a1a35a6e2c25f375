"""Names that other services know, for lists that people read: asked for in one batch, kept for a while."""

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
"""Takes at most `BATCH` ids; those without a name are left out of the answer."""


class NameCache:
    """Names by id. Who can't be named, because they are gone or the other service is away, has none.

    Args:
        fetch: asks the service that knows them; raises ApiError.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._kept = LruCache[str, tuple[str | None, float]](CAPACITY)

    async def of(self, ids: Iterable[str]) -> dict[str, str]:
        """The names of these ids, as far as they have one."""
        wanted = list(dict.fromkeys(ids))
        now = time.monotonic()
        named = {each: kept[0] for each in wanted if (kept := self._kept.peek(each)) and now < kept[1]}
        missing = [each for each in wanted if each not in named]
        try:
            for begin in range(0, len(missing), BATCH):
                some = missing[begin : begin + BATCH]
                found = await self._fetch(some)
                for each in some:
                    named[each] = found.get(each)
                    self._kept.put(each, (named[each], now + KEPT_SEC))
        except ApiError as error:
            log.info("names_unknown", code=error.code)
        return {each: name for each, name in named.items() if name}


def titles(channel: aio.Channel) -> NameCache:
    """The titles of videos, which catalog knows."""
    stub = CatalogServiceStub(channel)

    async def fetch(ids: Sequence[str]) -> Mapping[str, str]:
        answer = await call(stub.GetVideos, catalog_pb2.GetVideosRequest(ids=ids), deadline_sec=DEADLINE_SEC)
        return {video.id: video.title for video in answer.videos}

    return NameCache(fetch)


def display_names(channel: aio.Channel) -> NameCache:
    """The names of users, which auth knows."""
    stub = AuthServiceStub(channel)

    async def fetch(ids: Sequence[str]) -> Mapping[str, str]:
        answer = await call(stub.GetUsers, auth_pb2.GetUsersRequest(ids=ids), deadline_sec=DEADLINE_SEC)
        return {user.id: user.display_name for user in answer.users}

    return NameCache(fetch)
