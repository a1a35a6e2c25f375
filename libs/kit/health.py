"""Whether a service can serve: named checks, run in the background so that a slow one delays no request."""

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
    """A check of something that a service depends on."""

    probe: Callable[[], Awaitable[None]]
    """Raises when it can't be used."""
    required: bool = True
    """False when the service can do without it."""


def broker_check(bus: Bus) -> Check:
    """Return the check of the broker, which is not required: events wait in the outbox while it can't be reached."""

    async def probe() -> None:
        if not bus.is_connected():
            raise BusUnavailableError("not connected")

    return Check(probe, required=False)


class Health:
    """The state of a service and of what it depends on."""

    def __init__(self, checks: dict[str, Check] | None = None) -> None:
        self._checks = checks or {}
        self._states: dict[str, bool] = {}
        self._is_stopping = False

    def states(self) -> dict[str, bool]:
        """Return the last result of each check."""
        return dict(self._states)

    def is_ready(self) -> bool:
        """Return whether this process should get requests."""
        if self._is_stopping:
            return False
        return all(self._states.get(name, False) for name, check in self._checks.items() if check.required)

    def stop(self) -> None:
        """Make the service unready from now on: it finishes what it has."""
        self._is_stopping = True

    async def run_checks(self) -> None:
        """Run every check once, concurrently."""
        results = await asyncio.gather(*(self._passes(check) for check in self._checks.values()))
        for name, passed in zip(self._checks, results, strict=True):
            if self._states.get(name, True) != passed:
                log.warning("dependency_changed", dependency=name, healthy=passed)
            self._states[name] = passed

    async def watch(self, report: Report) -> None:
        """Run all checks periodically until cancelled; report each result. The empty name stands for the service."""
        while True:
            await self.run_checks()
            for name, passed in self._states.items():
                await report(name, passed)
            await report("", self.is_ready())
            await asyncio.sleep(INTERVAL_SEC)

    @staticmethod
    async def _passes(check: Check) -> bool:
        try:
            async with asyncio.timeout(CHECK_DEADLINE_SEC):
                await check.probe()
        except Exception:  # noqa: BLE001 - whatever a driver raises means that it can't be used
            return False
        return True
