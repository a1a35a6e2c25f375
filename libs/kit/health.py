"""Whether a service can serve: named checks, looked at in the background so that a slow one holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from kit.bus import Bus, BusUnavailableError

log = structlog.get_logger()

INTERVAL_SEC = 2.0
CHECK_DEADLINE_SEC = 2.0

Report = Callable[[str, bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a service depends on."""

    probe: Callable[[], Awaitable[None]]
    """Raises when the thing is not there."""
    required: bool = True
    """False when the service can go on without."""


def broker_check(bus: Bus) -> Check:
    """The broker as a dependency that a service can go on without: events wait in the outbox while it is away."""

    async def probe() -> None:
        if not bus.is_connected():
            raise BusUnavailableError("not connected")

    return Check(probe, required=False)


class Health:
    """The state of a service and of what it depends on."""

    def __init__(self, checks: dict[str, Check] | None = None) -> None:
        self._checks = checks or {}
        self._states: dict[str, bool] = {}
        self._stopping = False

    def states(self) -> dict[str, bool]:
        """What the last look said of each part."""
        return dict(self._states)

    def is_ready(self) -> bool:
        """Whether requests should come here."""
        if self._stopping:
            return False
        return all(self._states.get(name, False) for name, check in self._checks.items() if check.required)

    def stop(self) -> None:
        """From now on the service is not ready: it finishes what it has."""
        self._stopping = True

    async def look(self) -> None:
        """Runs every check once, side by side."""
        results = await asyncio.gather(*(self._passes(check) for check in self._checks.values()))
        for name, passed in zip(self._checks, results, strict=True):
            if self._states.get(name, True) != passed:
                log.warning("dependency_changed", dependency=name, healthy=passed)
            self._states[name] = passed

    async def watch(self, report: Report) -> None:
        """Looks again and again until cancelled, and tells `report` what it saw; the empty name is the whole."""
        while True:
            await self.look()
            for name, passed in self._states.items():
                await report(name, passed)
            await report("", self.is_ready())
            await asyncio.sleep(INTERVAL_SEC)

    @staticmethod
    async def _passes(check: Check) -> bool:
        try:
            async with asyncio.timeout(CHECK_DEADLINE_SEC):
                await check.probe()
        except Exception:  # noqa: BLE001 - whatever a driver raises means "not there"
            return False
        return True
