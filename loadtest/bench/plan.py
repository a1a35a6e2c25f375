"""What is measured, how often and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
Size = Literal["64k", "1m", "8m", "open"]
SIZES: dict[Size, int | None] = {"64k": 64 * KIB, "1m": MIB, "8m": 8 * MIB, "open": None}
"""Bytes of each range; None for open-ended ranges (`bytes=N-`) of the small file."""
SIZE_TITLES: dict[Size, str] = {
    "64k": "64 KiB ranges",
    "1m": "1 MiB ranges",
    "8m": "8 MiB ranges",
    "open": "Open-ended ranges of a 2 MiB file",
}
CONNECTIONS = (1, 8, 64, 500)
JUDGED_CONNECTIONS = 8
"""The promises are about this many; the tables show the others, too."""
Scenario = Literal["memory", "seek", "slow-disk", "viewers", "starts"]
SCENARIOS: tuple[Scenario, ...] = ("memory", "seek", "slow-disk", "viewers", "starts")
PACE_BYTES_PER_SEC = 2_000_000 / 8
"""2 Mbit/s."""
_IN_FLIGHT_BYTES = 2 * GIB


class Plan(BaseModel):
    """One run of the benchmark."""

    peers: list[str]
    sizes: list[Size] = list(SIZES)
    connections: list[int] = list(CONNECTIONS)
    rounds: int = 5
    seconds: float = 0.8
    """Length of each measured window in seconds."""
    warm_up_sec: float = 0.2
    warm_up_sec_per_connection: float = 0.001
    """Seconds before the window: connecting and a viewer's first authorisation are no steady state."""
    film_bytes: int = GIB
    scenarios: list[Scenario] = list(SCENARIOS)
    memory_connections: int = 1000
    memory_sec: float = 8
    seek_viewers: int = 200
    seek_rounds: int = 3
    seek_sec: float = 6
    slow_rounds: int = 5
    slow_sec: float = 3.5
    viewers: list[int] = [500, 1000]
    viewers_sec: float = 30
    starts_per_sec: list[int] = [200, 400, 800]
    starts_sec: float = 1
    is_full: bool = True
    """Whether its result decides about the promises."""

    def combinations(self) -> Iterator[tuple[Size, int]]:
        """Return pairs of sizes and connections to measure.

        Pairs are left out if a window would end long before every connection has had one response: they show nothing.
        """
        for size in self.sizes:
            for connections in self.connections:
                if (SIZES[size] or 0) * connections <= _IN_FLIGHT_BYTES:
                    yield size, connections


def quick(plan: Plan) -> Plan:
    """Return a plan of about a minute and a half, for a quick look that does not judge the promises."""
    shorter = {
        "sizes": ["64k", "1m"],
        "connections": [8, 64],
        "rounds": 2,
        "seconds": 0.5,
        "film_bytes": 256 * MIB,
        "memory_connections": 500,
        "memory_sec": 4,
        "seek_rounds": 1,
        "seek_sec": 4,
        "slow_rounds": 2,
        "slow_sec": 1.5,
        "viewers": [500],
        "viewers_sec": 8,
        "starts_per_sec": [200],
        "is_full": False,
    }
    return plan.model_copy(update=shorter)
