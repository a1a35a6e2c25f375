"""The admin API of dead letters, on both buses."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kit.audit import ADMIN_ACTED
from kit.bus import Bus, BusUnavailableError, DeadLetter, RejectedEventError, Subscription
from kit.bus.local import LocalBus
from kit.bus.rabbit import RabbitBus
from kit.service import Role
from kit.settings import load
from kit.testing.bus_contract import Failing, Recorder, event, eventually, start
from kit.testing.fakes import FakeBus, HeaderAuthenticator
from kit.testing.servers import RabbitServer
from marquee.events.v1 import admin_pb2
from services.catalog.__main__ import build, migrate
from services.catalog.settings import CatalogSettings
from services.catalog.tests.support import ADMIN, ANN

JOBS = Subscription("thumbnailer.jobs", ("video.uploaded",))
LETTERS = "/api/admin/dead-letters"


@pytest.fixture(params=["local", "rabbit"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    made: Bus
    if request.param == "local":
        made = LocalBus(tmp_path / "bus.sqlite3")
    else:
        server: RabbitServer = request.getfixturevalue("rabbit_server")
        name = f"t{uuid.uuid4().hex[:8]}"
        made = RabbitBus(server.url, service="test", exchange=name, prefix=f"{name}.", confirm_sec=60)
    yield made
    await made.close(0)


class AwayBus(FakeBus):
    """A bus whose broker does not answer."""

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:
        raise BusUnavailableError("away")


async def serve(tmp_path: Path, bus: Bus) -> AsyncIterator[httpx.AsyncClient]:
    settings = load(
        CatalogSettings,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'catalog.db'}",
        broker_url="local:",
        media_url=(tmp_path / "media").as_uri(),
        grpc_bind=f"unix:{tmp_path / 'grpc'}",
        auth_address=f"unix:{tmp_path / 'absent'}",
    )
    await asyncio.to_thread(migrate, settings)
    service = build(settings, Role.SERVE, bus)
    service.app.state.authenticate = HeaderAuthenticator()
    await service.start()
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://catalog", headers=ADMIN) as http:
        yield http
    await service.stop(1)


@pytest.fixture
async def api(tmp_path: Path, bus: Bus) -> AsyncIterator[httpx.AsyncClient]:
    async for http in serve(tmp_path, bus):
        yield http


async def listed(api: httpx.AsyncClient, count: int, **query: str) -> list[dict[str, object]]:
    """The dead letters, once there are so many."""
    async with asyncio.timeout(60):
        while True:
            answer = await api.get(LETTERS, params=query)
            assert answer.status_code == 200, answer.text
            items: list[dict[str, object]] = answer.json()["items"]
            if len(items) == count:
                return items
            await asyncio.sleep(0.05)


async def test_lists_shows_and_replays(api: httpx.AsyncClient, bus: Bus) -> None:
    failing, acts = Failing(RejectedEventError("no film"), times=3), Recorder()
    bus.subscribe(JOBS, failing)
    bus.subscribe(Subscription("auth.audit", (ADMIN_ACTED,)), acts)
    await start(bus)
    sent = [event(subject=f"v{number}", body=b'{"video_id": "v"}') for number in range(3)]
    await bus.publish(sent)
    items = await listed(api, 3, subscription="thumbnailer.jobs")
    assert {item["id"] for item in items} == {f"thumbnailer.jobs:{each.id}" for each in sent}
    assert {(item["type"], item["reason"]) for item in items} == {("video.uploaded", "RejectedEventError: no film")}
    assert await listed(api, 0, subscription="auth.audit") == []

    one = f"{LETTERS}/thumbnailer.jobs:{sent[1].id}"
    shown = (await api.get(one)).json()
    assert (shown["subject"], shown["body"], shown["source"]) == ("v1", '{"video_id": "v"}', "test")
    assert (await api.post(f"{one}/replay")).json() == {"replayed": 1}
    await eventually(lambda: len(failing.events) == 4)
    assert failing.events[3] == sent[1]
    assert (await api.get(one)).status_code == 404
    assert (await api.post(f"{one}/replay")).status_code == 404

    answer = await api.post(f"{LETTERS}/replay", json={"subscription": "thumbnailer.jobs"})
    assert answer.json() == {"replayed": 2}
    await eventually(lambda: len(failing.events) == 6)
    assert await listed(api, 0) == []
    await eventually(lambda: len(acts.finished) == 2)
    audited = [each.read(admin_pb2.AdminActed) for each in acts.finished]
    assert {(act.action, json.loads(act.details)["replayed"]) for act in audited} == {
        ("dead_letter.replayed", 1),
        ("dead_letter.replayed", 2),
    }


async def test_other_answers(tmp_path: Path) -> None:
    async for api in serve(tmp_path, AwayBus()):
        answer = await api.get(LETTERS)
        assert (answer.status_code, answer.json()["error"]["details"]) == (503, {"dependency": "broker"})
        assert (await api.get(f"{LETTERS}/nonsense")).status_code == 404
        assert (await api.get(LETTERS, params={"subscription": "a/../b"})).status_code == 422
        assert (await api.get(LETTERS, headers=ANN)).status_code == 403
