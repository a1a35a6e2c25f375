"""The composition root of progress."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from kit.events.relay import Relay
from kit.ids import new_id
from kit.rpc import call, connect
from kit.service import Role, Service
from kit.settings import load
from kit.testing.fakes import FakeBus
from marquee.progress.v1 import progress_pb2
from marquee.progress.v1.progress_pb2_grpc import ProgressServiceStub
from services.progress.__main__ import build, migrate
from services.progress.settings import ProgressSettings


@pytest.fixture
def settings(sqlite_url: str) -> ProgressSettings:
    """Settings of a service whose neighbours are away."""
    return load(
        ProgressSettings,
        database_url=sqlite_url,
        broker_url="amqp://127.0.0.1:1/",
        grpc_bind="127.0.0.1:0",
        auth_address="127.0.0.1:1",
        catalog_address="127.0.0.1:1",
    )


@pytest.fixture
def bus() -> FakeBus:
    """A bus of the launcher."""
    return FakeBus()


@pytest.fixture
async def service(settings: ProgressSettings, bus: FakeBus) -> AsyncIterator[Service]:
    """A running service."""
    service = build(settings, Role.SERVE, bus)
    await service.start()
    yield service
    await service.stop(0)


async def test_service_answers_http_and_grpc(service: Service) -> None:
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://progress") as http:
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]) == (200, {"database": True, "disk": True, "broker": True})
        refused = await http.get("/api/users/me/history")
        assert refused.status_code == 401
        assert "WWW-Authenticate" in refused.headers
    async with connect(f"127.0.0.1:{service.grpc.port}") as channel:
        request = progress_pb2.GetViewsRequest(days=1, video_ids=[new_id()])
        assert not (await call(ProgressServiceStub(channel).GetViews, request)).videos


@pytest.mark.parametrize(("role", "relays"), [(Role.SERVE, 1), (Role.WORKER, 1), (Role.API, 0)])
async def test_only_workers_relay_events(settings: ProgressSettings, role: Role, relays: int) -> None:
    service = build(settings, role, FakeBus())
    assert sum(getattr(loop, "__func__", None) is Relay.run for loop in service.background) == relays
    await service.resources.aclose()


def test_migrating_twice_changes_nothing(settings: ProgressSettings) -> None:
    migrate(settings)
