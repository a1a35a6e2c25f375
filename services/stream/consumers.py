"""Handles events of other services."""

from __future__ import annotations

from kit.bus import Bus, Delivery, Subscription
from kit.events.envelope import Event
from kit.events.registry import type_of
from marquee.events.v1 import user_pb2, video_pb2
from services.stream.hotcache import HotStore
from services.stream.sessions import Sessions
from services.stream.sources import SourceCache

LOST_ACCOUNTS = Subscription("stream.lost_accounts", (type_of(user_pb2.UserSuspended), type_of(user_pb2.UserDeleted)))
VIDEO_CHANGES = Subscription("stream.video_changes", ("video.*",), Delivery.BROADCAST)


def subscribe(bus: Bus, sources: SourceCache, hot: HotStore | None = None) -> None:
    """Keep the cache of sources, and the hot copies, up to date."""

    async def forget(event: Event) -> None:
        await sources.forget(event.subject)
        if hot and (event.carries(video_pb2.VideoDeleted) or event.carries(video_pb2.VideoPurged)):
            await hot.drop(event.subject, "deleted")

    bus.subscribe(VIDEO_CHANGES, forget)
    bus.on_reconnect(sources.clear)


def subscribe_accounts(bus: Bus, sessions: Sessions) -> None:
    """End the sessions of users who may not watch any more. One replica does it; the others learn it from the store."""

    async def end_all(event: Event) -> None:
        await sessions.stop_user(event.subject)

    bus.subscribe(LOST_ACCOUNTS, end_all)
