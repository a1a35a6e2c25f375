"""Whether new play sessions are granted, for health and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.stream.sessions import metrics
from services.stream.slots import SlotStore


class NotAcceptingError(Exception):
    """Nothing new is granted: the store may have lost sessions, and replicas report which they serve."""


def accepting_probe(slots: SlotStore) -> Callable[[], Awaitable[None]]:
    """Return a health check that passes while new sessions are granted, and publishes when they will be."""

    async def probe() -> None:
        seconds = await slots.seconds_until_accepting()
        metrics.ACCEPTING_IN.set(seconds)
        if seconds > 0:
            raise NotAcceptingError(f"for {seconds:.0f} s")

    return probe
