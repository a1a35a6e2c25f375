"""A film that is uploaded as protected, through catalog, thumbnailer and the embedded bus: no plaintext is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from grpc import aio

from kit.bus.local import LocalBus
from kit.ids import new_id
from kit.rpc import GrpcServer, call, connect
from kit.service import Role
from kit.settings import load
from kit.testing.bus_contract.harness import eventually
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import HeaderAuthenticator, as_user
from lsv import ContentKey, FileSource, PackReader
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from marquee.stream.v1 import stream_pb2, stream_pb2_grpc
from services.catalog import __main__ as catalog
from services.catalog.settings import CatalogSettings
from services.thumbnailer import __main__ as thumbnailer
from services.thumbnailer.settings import ThumbnailerSettings
from services.thumbnailer.tests.unit.media.packing.support import TWO_SECONDS, remuxed

ADMIN = as_user("root", "admin")
DEADLINE_SEC = 240
"""Only bounds failure."""


class Keys(stream_pb2_grpc.StreamServiceServicer):
    """Stream, as far as a packer needs it."""

    def __init__(self) -> None:
        self.issued: dict[tuple[str, str], ContentKey] = {}

    async def IssueContentKey(self, request: Any, context: Any) -> stream_pb2.IssueContentKeyResponse:  # noqa: N802
        """Return the key of an asset, the same each time."""
        key = self.issued.setdefault((request.video_id, request.asset_id), ContentKey.generate())
        return stream_pb2.IssueContentKeyResponse(key_id=str(key.id), secret=key.secret)


def register(servicer: Keys, server: aio.Server) -> None:
    stream_pb2_grpc.add_StreamServiceServicer_to_server(servicer, server)


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[Keys]:
    keys = Keys()
    server = GrpcServer("stream", f"unix:{tmp_path / 'stream'}", [partial(register, keys)])
    await server.start()
    yield keys
    await server.stop(0)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return MigratedDatabases(catalog.MIGRATIONS, tmp_path).sqlite(tmp_path / "films.db")


@pytest.fixture
async def http(tmp_path: Path, database_url: str, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a catalog that shares a bus and a store with a thumbnailer."""
    shared = {"broker_url": "local:", "media_url": (tmp_path / "media").as_uri()}
    shared |= {f"{name}_address": f"unix:{tmp_path / name}" for name in ("auth", "stream", "progress", "thumbnailer")}
    bus = LocalBus(tmp_path / "bus.db")
    settings = load(CatalogSettings, database_url=database_url, grpc_bind=f"unix:{tmp_path / 'catalog'}", **shared)
    known = {key: value for key, value in shared.items() if key in ThumbnailerSettings.model_fields}
    worker = load(ThumbnailerSettings, grpc_bind=f"unix:{tmp_path / 'thumbnailer'}", **known)
    services = [catalog.build(settings, Role.SERVE, bus), thumbnailer.build(worker, Role.SERVE, bus)]
    services[0].app.state.authenticate = HeaderAuthenticator()
    await bus.start()
    for service in services:
        await service.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(services[0].app), base_url="http://catalog", headers=ADMIN
    ) as client:
        yield client
    for service in services:
        await service.before_close()
    await bus.close(5)
    for service in reversed(services):
        await service.stop(5)


async def test_protected_upload_leaves_no_plaintext(http: httpx.AsyncClient, keys: Keys, tmp_path: Path) -> None:
    film = TWO_SECONDS.save(tmp_path / "film.mp4")
    media, plain = remuxed(film), film.read_bytes()
    with film.open("rb") as file:
        answer = await http.post("/api/videos", data={"protection": "lsv"}, files={"file": ("film.mp4", file)})
    assert answer.status_code == 201, answer.text
    video = answer.json()
    async with asyncio.timeout(DEADLINE_SEC):
        while video["status"] == "processing":
            await asyncio.sleep(0.1)
            video = (await http.get(f"/api/videos/{video['id']}")).json()
    assert (video["status"], video["protection"]) == ("ready", "lsv"), video
    assert video["storyboard_url"]
    assert {job["kind"]: job["state"] for job in video["jobs"]} == dict.fromkeys(
        ("facts", "thumbnail", "posters", "storyboard", "protect"), "done"
    )
    # The source goes after the commit.
    await eventually(lambda: not (tmp_path / "media" / "videos" / video["id"] / "source").exists(), DEADLINE_SEC)
    assert_no_plaintext(tmp_path / "media", plain, media)
    async with connect(f"unix:{tmp_path / 'catalog'}") as channel:
        request = catalog_pb2.GetSourceRequest(video_id=video["id"])
        source: Any = await call(CatalogServiceStub(channel).GetSource, request, deadline_sec=60)
    assert source.asset_kind == "lsv"
    ((asked, key),) = keys.issued.items()
    assert asked == (video["id"], source.asset_id)
    with FileSource(tmp_path / "media" / source.reference) as pack:
        reader = PackReader.open(pack, key, content_id=UUID(video["id"]), content_version=source.version)
        records = [reader.read(index) for index in range(len(reader.header.entries))]
    assert b"".join(records) == media
    assert (await http.get(f"/api/videos/{new_id()}")).status_code == 404


def assert_no_plaintext(store: Path, *contents: bytes) -> None:
    """Check that no file of the store has 16 bytes of the film in a row; monotonous ones are in any picture."""
    windows = {data[at : at + 16] for data in contents for at in range(0, len(data) - 16, 16)}
    windows = {window for window in windows if len(set(window)) > 8}
    for path in store.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            found = [at for at in range(len(raw) - 16) if raw[at : at + 16] in windows]
            assert not found, (path, found[:5])
