"""Licences for offline playback: bound, limited, renewed, revoked, and reported as events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from kit.db.database import Database
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus, event_of
from kit.testing.servers import PostgresServer
from lsv.tests.licence_client import Device
from lsv.tests.second_reader import RefusedError
from marquee.events.v1 import user_pb2, video_pb2
from services.stream.models import OfflineLicence, SeenDevice, WrappedContentKey
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.licences import KEPT_AFTER_END, LicenceLimits, OfflineLicences
from services.stream.protection.viewers import Viewers
from services.stream.tests.protected import (
    PLAINTEXTS,
    VERSION,
    ProtectedFilm,
    play,
    protect,
    raw_of,
    running_protected,
    text_of,
)
from services.stream.tests.support import Answer, ServiceHarness

pytestmark = pytest.mark.usefixtures("never_stale")
LICENSES = "/api/offline-licenses"
ADMIN = "/api/admin/offline-licenses"
DAY_SEC = 86_400


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def harness(store: Path, sockets: Path, database_url: str) -> AsyncIterator[ServiceHarness]:
    async with running_protected(store, sockets, database_url, offline_licenses_per_user=3) as harness:
        yield harness


async def ask(
    harness: ServiceHarness, film: ProtectedFilm, device: Device, device_id: str, user: str = "viewer", **more: Any
) -> Answer:
    body = {"video_id": film.video_id, "device_id": device_id, "device_name": "Laptop"}
    body |= {"public_key": text_of(device.point)} | more
    return await harness.call("POST", LICENSES, body, x_test_user=user)


async def issue(harness: ServiceHarness, film: ProtectedFilm, device: Device, device_id: str, **more: Any) -> Any:
    answer = await ask(harness, film, device, device_id, **more)
    assert answer.status == 201, answer.body
    return answer.json()


def open_offline(device: Device, film: ProtectedFilm, license_: dict[str, Any], **changed: Any) -> bytes:
    bound: dict[str, Any] = {
        "video_id": UUID(film.video_id).bytes,
        "device_id": UUID(license_["device_id"]).bytes,
        "expires_at": round(datetime.fromisoformat(license_["expires_at"]).timestamp()),
    }
    wrapped, point = raw_of(license_["wrapped_key"]), raw_of(license_["server_public_key"])
    return device.unwrap_offline(wrapped, point, **bound | changed).content_key


async def events(bus: FakeBus, *types: str, count: int) -> list[dict[str, Any]]:
    """Wait for published events of these types, and return their bodies."""
    async with asyncio.timeout(60):
        while len(found := [each for each in bus.published if each.type in types]) < count:
            await bus.something_published()
    assert len(found) == count
    return [json.loads(each.body) for each in found]


async def test_device_plays_film_with_its_licence_and_with_nothing_else(harness: ServiceHarness) -> None:
    film, device, device_id = await protect(harness), Device(), str(uuid4())
    before = datetime.now(UTC).replace(microsecond=0)
    license_ = await issue(harness, film, device, device_id, wrap_algorithm="AES-GCM", expires_in_sec=DAY_SEC)
    assert (license_["scope"], license_["content_version"]) == ("OFFLINE_PLAYBACK", VERSION)
    issued_at, expires_at = (datetime.fromisoformat(license_[name]) for name in ("issued_at", "expires_at"))
    assert issued_at >= before
    assert expires_at - issued_at == timedelta(days=1)
    assert play(film, open_offline(device, film, license_), film.pack) == PLAINTEXTS
    other = uuid4().bytes
    for changed in ({"video_id": other}, {"device_id": other}, {"expires_at": round(expires_at.timestamp()) + 1}):
        with pytest.raises(RefusedError):
            open_offline(device, film, license_, **changed)
    with pytest.raises(RefusedError):
        open_offline(Device(), film, license_)
    with pytest.raises(RefusedError):
        device.unwrap_online(
            raw_of(license_["wrapped_key"]),
            raw_of(license_["server_public_key"]),
            session_id=other,
            video_id=UUID(film.video_id).bytes,
        )
    assert "Viewer" in license_["watermark"]["text"]
    (issued,) = await events(harness.bus, "license.issued", count=1)
    assert (issued["license_id"], issued["device_id"]) == (license_["id"], device_id)


async def test_licence_is_never_longer_than_allowed(harness: ServiceHarness) -> None:
    film = await protect(harness)
    for more in ({}, {"expires_in_sec": 366 * DAY_SEC}):
        license_ = await issue(harness, film, Device(), str(uuid4()), **more)
        issued_at, expires_at = (datetime.fromisoformat(license_[name]) for name in ("issued_at", "expires_at"))
        assert expires_at - issued_at == timedelta(days=7)


async def test_device_asks_again_and_keeps_its_licence(harness: ServiceHarness) -> None:
    film, device_id = await protect(harness), str(uuid4())
    first = await issue(harness, film, Device(), device_id)
    for _ in range(4):
        device = Device()
        again = await issue(harness, film, device, device_id)
        assert again["id"] == first["id"]
        open_offline(device, film, again)
    listed = (await harness.call("GET", LICENSES)).json()
    assert [each["id"] for each in listed["items"]] == [first["id"]]
    assert "wrapped_key" not in listed["items"][0]


async def test_renews_for_the_key_that_it_is_bound_to(harness: ServiceHarness) -> None:
    film, device, device_id = await protect(harness), Device(), str(uuid4())
    license_ = await issue(harness, film, device, device_id, expires_in_sec=3600)
    path = f"{LICENSES}/{license_['id']}/renew"
    stranger = await harness.call("POST", path, {"public_key": text_of(Device().point)})
    assert (stranger.status, stranger.code) == (422, "VALIDATION_FAILED")
    assert stranger.json()["error"]["details"]["fields"][0]["field"] == "public_key"
    renewed = (await harness.call("POST", path, {"public_key": text_of(device.point)})).json()
    assert renewed["expires_at"] > license_["expires_at"]
    assert play(film, open_offline(device, film, renewed), film.pack) == PLAINTEXTS
    not_mine = await harness.call("POST", path, {"public_key": text_of(device.point)}, x_test_user="other")
    assert (not_mine.status, not_mine.code) == (404, "CONTENT_NOT_FOUND")
    await events(harness.bus, "license.issued", count=2)


async def test_removed_licence_is_over(harness: ServiceHarness) -> None:
    film, device, device_id = await protect(harness), Device(), str(uuid4())
    license_ = await issue(harness, film, device, device_id)
    path = f"{LICENSES}/{license_['id']}"
    assert (await harness.call("DELETE", path, x_test_user="other")).status == 404
    assert (await harness.call("GET", path)).json()["id"] == license_["id"]
    for _ in range(2):
        assert (await harness.call("DELETE", path)).status == 204
    for method, target, body in (("GET", path, None), ("POST", f"{path}/renew", {"public_key": text_of(device.point)})):
        answer = await harness.call(method, target, body)
        assert (answer.status, answer.code) == (403, "LICENSE_EXPIRED")
        assert answer.json()["error"]["details"] == {"reason": "user"}
    assert (await harness.call("GET", LICENSES)).json()["total"] == 0
    (revoked,) = await events(harness.bus, "license.revoked", count=1)
    assert revoked["reason"] == "user"
    assert (await issue(harness, film, device, device_id))["id"] != license_["id"]


async def test_administrator_lists_and_revokes(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    device_id = str(uuid4())
    license_ = await issue(harness, film, device, device_id, user="someone")
    await issue(harness, film, device, str(uuid4()))
    assert (await harness.call("GET", ADMIN)).status == 403
    admin = {"x_test_user": "boss:admin"}
    listed = (await harness.call("GET", f"{ADMIN}?user_id=someone", **admin)).json()
    assert [(each["id"], each["user_id"], each["ended_at"]) for each in listed["items"]] == [
        (license_["id"], "someone", None)
    ]
    assert (await harness.call("GET", f"{ADMIN}?video_id={film.video_id}", **admin)).json()["total"] == 2
    assert (await harness.call("GET", f"{ADMIN}?video_id={new_id()}", **admin)).json()["total"] == 0
    (held,) = (await harness.call("GET", f"{ADMIN}?device_id={device_id}", **admin)).json()["items"]
    assert held["id"] == license_["id"]
    assert (await harness.call("DELETE", f"{ADMIN}/{license_['id']}")).status == 403
    assert (await harness.call("DELETE", f"{ADMIN}/{license_['id']}", **admin)).status == 204
    renewed = await harness.call(
        "POST", f"{LICENSES}/{license_['id']}/renew", {"public_key": text_of(device.point)}, x_test_user="someone"
    )
    assert renewed.json()["error"]["details"] == {"reason": "admin"}
    (act,) = await events(harness.bus, "admin.acted", count=1)
    assert (act["action"], act["actor_id"], act["subject_id"]) == ("license.revoked", "boss", license_["id"])
    assert json.loads(act["details"])["video_id"] == film.video_id
    (ended,) = (await harness.call("GET", f"{ADMIN}?user_id=someone", **admin)).json()["items"]
    assert ended["end_reason"] == "admin"


async def test_refuses_what_is_no_protected_film_or_device(harness: ServiceHarness) -> None:
    film, plain = await protect(harness), harness.store("film.mp4", b"plain")
    body = {"video_id": plain, "device_id": str(uuid4()), "device_name": "x", "public_key": text_of(Device().point)}
    assert (await harness.call("POST", LICENSES, body)).code == "CONTENT_NOT_FOUND"
    for changed in ({"device_id": "laptop"}, {"public_key": "AAAA"}, {"expires_in_sec": 0}, {"device_name": ""}):
        answer = await harness.call("POST", LICENSES, body | {"video_id": film.video_id} | changed)
        assert (answer.status, answer.code) == (422, "VALIDATION_FAILED")
    await harness.call("POST", LICENSES, body | {"video_id": film.video_id})
    foreign = harness.catalog.sources[film.video_id]
    foreign.corporation_id = new_id()
    event = event_of("video.updated", video_pb2.VideoUpdated(video_id=film.video_id), subject=film.video_id)
    await harness.bus.deliver(event)
    assert (await harness.call("POST", LICENSES, body | {"video_id": film.video_id})).code == "CONTENT_NOT_FOUND"


class TestSqlite:
    """A file."""

    async def test_no_user_and_no_video_gets_more_than_the_limit(
        self, store: Path, sockets: Path, database_url: str
    ) -> None:
        limits = {"offline_licenses_per_user": 3, "offline_licenses_per_video": 5}
        async with running_protected(store, sockets, database_url, **limits) as harness:
            film, device = await protect(harness), Device()
            answers = await asyncio.gather(*(ask(harness, film, device, str(uuid4())) for _ in range(12)))
            assert sorted(each.status for each in answers) == [201] * 3 + [429] * 9
            refused = next(each for each in answers if each.status == 429)
            assert refused.code == "LICENSE_LIMIT_REACHED"
            assert refused.json()["error"]["details"] == {"scope": "user", "limit": 3}
            users = (ask(harness, film, device, str(uuid4()), user=f"user{number}") for number in range(8))
            answers = await asyncio.gather(*users)
            assert sorted(each.status for each in answers) == [201] * 2 + [429] * 6
            refused = next(each for each in answers if each.status == 429)
            assert refused.json()["error"]["details"] == {"scope": "video", "limit": 5}
            own = (await harness.call("GET", LICENSES)).json()["items"][0]
            await harness.call("DELETE", f"{LICENSES}/{own['id']}")
            assert (await ask(harness, film, device, str(uuid4()))).status == 201

    async def test_device_that_asks_many_times_at_once_gets_one_licence(self, harness: ServiceHarness) -> None:
        film, device, device_id = await protect(harness), Device(), str(uuid4())
        licenses = await asyncio.gather(*(issue(harness, film, device, device_id) for _ in range(10)))
        assert len({each["id"] for each in licenses}) == 1

    async def test_licences_end_with_the_account(self, harness: ServiceHarness, database: Database) -> None:
        film, device = await protect(harness), Device()
        suspended, deleted, other = new_id(), new_id(), new_id()
        licenses = {user: await issue(harness, film, device, str(uuid4()), user=user) for user in (suspended, other)}
        await issue(harness, film, device, str(uuid4()), user=deleted)
        suspension = event_of("user.suspended", user_pb2.UserSuspended(user_id=suspended), subject=suspended)
        deletion = event_of("user.deleted", user_pb2.UserDeleted(user_id=deleted), subject=deleted)
        for event in (suspension, deletion, suspension, deletion):
            await harness.bus.deliver(event)
        revoked = await events(harness.bus, "license.revoked", count=2)
        assert [(each["user_id"], each["reason"]) for each in revoked] == [
            (suspended, "account"),
            (deleted, "account"),
        ]
        gone = await harness.call("GET", f"{LICENSES}/{licenses[suspended]['id']}", x_test_user=suspended)
        assert gone.json()["error"]["details"] == {"reason": "account"}
        assert (await harness.call("GET", f"{LICENSES}/{licenses[other]['id']}", x_test_user=other)).status == 200
        async with database.read() as session:
            for table in (OfflineLicence, SeenDevice):
                kept = select(func.count()).select_from(table).where(table.user_id == deleted)
                assert await session.scalar(kept) == 0

    async def test_purged_video_leaves_neither_key_nor_licence(
        self, harness: ServiceHarness, database: Database
    ) -> None:
        film, other = await protect(harness), await protect(harness)
        for each in (film, other):
            await issue(harness, each, Device(), str(uuid4()))
        purged = event_of("video.purged", video_pb2.VideoPurged(video_id=film.video_id), subject=film.video_id)
        for _ in range(2):
            await harness.bus.deliver(purged)
        async with database.read() as session:
            for table in (OfflineLicence, WrappedContentKey):
                assert (await session.scalars(select(table.video_id))).all() == [other.video_id]

    async def test_expired_licence_is_ended_once_and_forgotten_later(
        self, harness: ServiceHarness, database: Database
    ) -> None:
        film, device = await protect(harness), Device()
        old = await issue(harness, film, device, str(uuid4()))
        lasting = await issue(harness, film, device, str(uuid4()))
        past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
        async with database.write() as transaction:
            await transaction.session.execute(
                update(OfflineLicence).where(OfflineLicence.id == old["id"]).values(expires_at=past)
            )
        path = f"{LICENSES}/{old['id']}"
        renewed = await harness.call("POST", f"{path}/renew", {"public_key": text_of(device.point)})
        assert (renewed.status, renewed.code) == (403, "LICENSE_EXPIRED")
        assert [each["id"] for each in (await harness.call("GET", LICENSES)).json()["items"]] == [lasting["id"]]
        licences = use_cases(database)
        await asyncio.gather(*(licences.maintain() for _ in range(4)))
        (revoked,) = await events(harness.bus, "license.revoked", count=1)
        assert (revoked["license_id"], revoked["reason"]) == (old["id"], "expired")
        assert (await harness.call("GET", path)).json()["error"]["details"] == {"reason": "expired"}
        async with database.write() as transaction:
            long_ago = datetime.now(UTC) - KEPT_AFTER_END - timedelta(seconds=1)
            await transaction.session.execute(
                update(OfflineLicence).where(OfflineLicence.id == old["id"]).values(ended_at=long_ago)
            )
        await licences.maintain()
        assert (await harness.call("GET", path)).code == "CONTENT_NOT_FOUND"
        assert (await harness.call("GET", LICENSES)).json()["total"] == 1


class TestPostgres(TestSqlite):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url


def use_cases(database: Database) -> OfflineLicences:
    """The use cases without HTTP."""

    async def no_names(_ids: object) -> dict[str, str]:
        return {}

    keys = ContentKeys(database, None)
    return OfflineLicences(keys, Viewers(keys, no_names), LicenceLimits(DAY_SEC, 10, 10))
