"""Dependencies of routes are asynchronous: FastAPI calls others in a thread, which takes longer than they do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from apps.marquee.embedded import build, service_settings
from kit.bus.local import LocalBus


async def test_no_dependency_is_called_in_a_thread(tmp_path: Path) -> None:
    bus = LocalBus(tmp_path / "bus.db")
    services = build(service_settings(tmp_path, tmp_path, None), bus)
    called = set[object]()
    for service in services:
        for route in service.app.router.routes:
            if isinstance(route, APIRoute):
                called |= set(dependencies(route.dependant))
    for service in services:
        await service.resources.aclose()
    assert len(called) > 3
    synchronous = {call for call in called if not inspect.iscoroutinefunction(call) and inspect.isroutine(call)}
    assert not synchronous


def dependencies(dependant: Dependant) -> Iterator[object]:
    """Yield what is called for a route, at any depth."""
    for each in dependant.dependencies:
        yield each.call
        yield from dependencies(each)
