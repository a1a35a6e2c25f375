"""What stream does when something happened elsewhere."""

from __future__ import annotations

from kit.bus import Bus, Delivery, Subscription
from kit.events import Event
from services.stream.hotcache import HotStore
from services.stream.sources import SourceCache

VIDEO_CHANGES = Subscription("stream.video_changes", ("video.*",), Delivery.BROADCAST)


def subscribe(bus: Bus, sources: SourceCache, hot: HotStore | None = None) -> None:
    """Keeps the cache of sources, and the hot copies, right."""

    async def forget(event: Event) -> None:
        await sources.forget(event.subject)
        if hot and event.type in {"video.deleted", "video.purged"}:
            await hot.drop(event.subject, "deleted")

    bus.subscribe(VIDEO_CHANGES, forget)
    bus.on_reconnect(sources.clear)
