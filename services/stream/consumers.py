"""What stream does when something happened elsewhere."""

from __future__ import annotations

from kit.bus import Bus, Delivery, Subscription
from kit.events import Event
from services.stream.sources import SourceCache

VIDEO_CHANGES = Subscription("stream.video_changes", ("video.*",), Delivery.BROADCAST)


def subscribe(bus: Bus, sources: SourceCache) -> None:
    """Keeps the cache of sources right."""

    async def forget(event: Event) -> None:
        await sources.forget(event.subject)

    bus.subscribe(VIDEO_CHANGES, forget)
    bus.on_reconnect(sources.clear)
