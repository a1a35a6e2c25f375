"""Consumer of the home page: drops what is kept when the catalogue changes."""

from __future__ import annotations

from kit.bus import Bus, Delivery, Subscription
from kit.events.envelope import Event
from services.catalog.home.service import HomePage

CHANGES = Subscription("catalog.home", ("video.*", "series.*"), Delivery.BROADCAST)


def subscribe(bus: Bus, page: HomePage) -> None:
    """Subscribe the consumer."""

    async def forget(_event: Event) -> None:
        page.forget()

    bus.subscribe(CHANGES, forget)
    bus.on_reconnect(page.forget)
