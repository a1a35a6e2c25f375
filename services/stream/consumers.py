"""Handles events of other services."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kit.bus import Bus, Delivery, Subscription
from kit.db.database import Database, Transaction
from kit.db.event_groups import CONCURRENCY, EventGroups, Received
from kit.errors import ApiError
from kit.events.envelope import Event
from kit.events.registry import type_of
from marquee.events.v1 import user_pb2, video_pb2
from services.stream.hotcache import HotStore
from services.stream.protection.licences import OfflineLicences
from services.stream.sessions import Sessions
from services.stream.sources import SourceCache

LOST_ACCOUNTS = Subscription("stream.lost_accounts", (type_of(user_pb2.UserSuspended), type_of(user_pb2.UserDeleted)))
LICENCE_ACCOUNTS = Subscription("stream.licence_accounts", LOST_ACCOUNTS.types, concurrency=CONCURRENCY)
PURGED_VIDEOS = Subscription("stream.purged_videos", (type_of(video_pb2.VideoPurged),), concurrency=CONCURRENCY)
VIDEO_CHANGES = Subscription("stream.video_changes", ("video.*",), Delivery.BROADCAST)


def subscribe(bus: Bus, sources: SourceCache, hot: HotStore | None = None) -> None:
    """Keep the cache of sources, and the hot copies, up to date."""

    async def forget(event: Event) -> None:
        await sources.forget(event.subject)
        if hot and (event.carries(video_pb2.VideoDeleted) or event.carries(video_pb2.VideoPurged)):
            await hot.drop(event.subject, "deleted")
        elif hot and hot.has_plain_copy(event.subject):
            # Of a film that is protected now, no plain bytes may stay. Where catalog is away the janitor finds out.
            with suppress(ApiError):
                if (await sources.get(event.subject)).is_protected:
                    await hot.drop(event.subject, "protected")

    bus.subscribe(VIDEO_CHANGES, forget)
    bus.on_reconnect(sources.clear)


def subscribe_accounts(bus: Bus, sessions: Sessions) -> None:
    """End the sessions of users who may not watch any more. One replica does it; the others learn it from the store."""

    async def end_all(event: Event) -> None:
        await sessions.stop_user(event.subject)

    bus.subscribe(LOST_ACCOUNTS, end_all)


def subscribe_protection(bus: Bus, database: Database | None) -> None:
    """End the licences of users who may not watch any more, and forget those of videos that are gone for good.

    Without a database there are none.
    """
    if database is None:
        return

    async def end(transaction: Transaction, accounts: Sequence[Received[bool]]) -> Sequence[None]:
        for each in accounts:
            with each.trace("stream"):
                await OfflineLicences.end_account(transaction, each.event.subject, erase=each.content)
        return [None] * len(accounts)

    async def forget(transaction: Transaction, videos: Sequence[Received[None]]) -> Sequence[None]:
        for each in videos:
            await OfflineLicences.forget_video(transaction, each.event.subject)
        return [None] * len(videos)

    accounts = EventGroups(database, LICENCE_ACCOUNTS, end, service="stream")
    videos = EventGroups(database, PURGED_VIDEOS, forget, service="stream")

    async def account_lost(event: Event) -> None:
        await accounts.apply(event, event.carries(user_pb2.UserDeleted))

    async def video_purged(event: Event) -> None:
        await videos.apply(event, None)

    bus.subscribe(LICENCE_ACCOUNTS, account_lost)
    bus.subscribe(PURGED_VIDEOS, video_purged)
