"""Check the health of the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from grpc import aio

from kit.errors import ApiError
from kit.health import Health
from kit.rpc import probe


@dataclass(frozen=True, slots=True)
class PlatformHealth:
    """The health of all services and their dependencies."""

    status: Literal["healthy", "degraded", "unhealthy"]
    services: dict[str, str]
    dependencies: dict[str, str]


class HealthOverview:
    """Asks every service for its health, by the standard gRPC health protocol."""

    DEPENDENCIES: ClassVar[Mapping[str, tuple[str, str]]] = {
        "database": ("connected", "disconnected"),
        "broker": ("connected", "disconnected"),
        "redis": ("connected", "disconnected"),
        "disk": ("ok", "full"),
        "slots": ("ok", "recovering"),
    }
    """What services may need, with the words for its being there and its not."""

    def __init__(self, own: Health, peers: Mapping[str, aio.Channel]) -> None:
        self._own = own
        self._peers = peers

    async def check(self) -> PlatformHealth:
        """Ask all services at once; one that does not answer within a second is unhealthy."""
        answers = await asyncio.gather(*(self._ask(channel) for channel in self._peers.values()))
        own: dict[str, bool | None] = {"": self._own.is_ready(), **self._own.states()}
        parts = {"catalog": own, **dict(zip(self._peers, answers, strict=True))}
        services = {name: "healthy" if states.get("") else "unhealthy" for name, states in sorted(parts.items())}
        dependencies = {}
        is_lacking = False
        for name, (well, unwell) in self.DEPENDENCIES.items():
            reports = [states[name] for states in parts.values() if states.get(name) is not None]
            if reports:
                dependencies[name] = well if all(reports) else unwell
                is_lacking |= not all(reports)
        if "unhealthy" in services.values():
            return PlatformHealth("unhealthy", services, dependencies)
        if is_lacking:
            return PlatformHealth("degraded", services, dependencies)
        return PlatformHealth("healthy", services, dependencies)

    async def _ask(self, channel: aio.Channel) -> dict[str, bool | None]:
        try:
            names = ("", *self.DEPENDENCIES)
            states = await asyncio.gather(*(probe(channel, name) for name in names))
        except ApiError:
            return {"": False}
        return dict(zip(names, states, strict=True))
