"""The files of a video are assets: which one is the source does not depend on what else a video has."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sqlalchemy import text

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.ids import new_id
from kit.rpc import call, connect
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from marquee.events.v1 import video_pb2
from services.catalog.__main__ import MIGRATIONS
from services.catalog.models import Asset
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.import_changes import process_anew
from services.catalog.tests.support import ADMIN, Catalog, insert, reset_to, video_of_before

OLDEST = "00000000-0000-7000-8000-000000000000"
PROCESS_REQUESTED = "video.process_requested"


async def get_source(catalog: Catalog, video_id: str) -> catalog_pb2.GetSourceResponse:
    async with connect(catalog.settings.grpc_bind) as channel:
        request = catalog_pb2.GetSourceRequest(video_id=video_id)
        answer: catalog_pb2.GetSourceResponse = await call(CatalogServiceStub(channel).GetSource, request)
        return answer


async def add_asset(catalog: Catalog, video_id: str, kind: str, asset_id: str) -> None:
    async with catalog.database.write() as transaction:
        transaction.session.add(
            Asset(
                id=asset_id,
                video_id=video_id,
                kind=kind,
                reference=f"videos/{video_id}/{kind}",
                size_bytes=3,
                created_at=datetime.now(UTC),
            )
        )


async def insert_as_before_assets(database: Database, video_id: str) -> str:
    """Give a video a source as a replica from before revision 0005 does; return its id."""
    asset_id = new_id()
    async with database.write() as transaction:
        await transaction.session.execute(
            text(
                "INSERT INTO video_files (id, video_id, reference, size_bytes, created_at)"
                " VALUES (:id, :video_id, :reference, 4, :now)"
            ),
            {"id": asset_id, "video_id": video_id, "reference": f"videos/{video_id}/old", "now": datetime.now(UTC)},
        )
    return asset_id


async def remove_source(database: Database, video_id: str) -> None:
    async with database.write() as transaction:
        await transaction.session.execute(text("DELETE FROM video_files WHERE video_id = :id"), {"id": video_id})


async def test_shows_id_and_kind_of_each_file(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    await add_asset(catalog, video_id, "pack", OLDEST)
    files = (await catalog.get(f"/api/videos/{video_id}"))["files"]
    answer = await get_source(catalog, video_id)
    assert [(file["id"], file["kind"]) for file in files] == [(OLDEST, "pack"), (answer.asset_id, "source")]


async def test_serves_and_describes_the_source_whatever_else_a_video_has(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await add_asset(catalog, video_id, "pack", OLDEST)
    await catalog.report_probed(video_id)
    await catalog.report_thumbnail(video_id)
    answer = await get_source(catalog, video_id)
    assert (answer.reference, answer.asset_kind) == (f"videos/{video_id}/source", "source")
    assert answer.asset_id not in ("", OLDEST, video_id)
    video = await catalog.get(f"/api/videos/{video_id}")
    assert (answer.width, video["width"]) == (1280, 1280)
    assert [file["resolution"] for file in video["files"]] == [None, "1280x720"]


async def test_has_the_source_processed_whatever_else_a_video_has(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    await add_asset(catalog, video_id, "pack", OLDEST)
    assert (await catalog.http.post(f"/api/videos/{video_id}/process", headers=ADMIN)).status_code == 200
    response = await catalog.http.post("/api/videos/process", headers=ADMIN)
    assert (response.status_code, response.json()["requested"]) == (202, 1)
    await catalog.event_types(4)
    requested = [event for event in catalog.bus.published if event.type == PROCESS_REQUESTED]
    references = [event.read(video_pb2.VideoProcessRequested).reference for event in requested]
    assert references == [f"videos/{video_id}/source"] * 2


async def test_files_of_before_are_sources_after_the_upgrade(catalog: Catalog, database_url: str) -> None:
    await reset_to("0004", database_url)
    video_id, asset_id = new_id(), new_id()
    await insert(catalog.database, "videos", [video_of_before(video_id, "Old")])
    file = {
        "id": asset_id,
        "video_id": video_id,
        "reference": f"videos/{video_id}/source",
        "size_bytes": 7,
        "created_at": datetime.now(UTC),
    }
    await insert(catalog.database, "video_files", [file])
    await asyncio.to_thread(upgrade, MIGRATIONS, database_url)
    source = await get_source(catalog, video_id)
    assert (source.asset_id, source.asset_kind, source.size_bytes) == (asset_id, "source", 7)


async def test_a_source_keeps_its_version_until_its_bytes_are_replaced(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    before = await get_source(catalog, video_id)
    edited = await catalog.http.patch(f"/api/videos/{video_id}", headers=ADMIN, json={"title": "Another"})
    assert edited.status_code == 200
    assert (await get_source(catalog, video_id)).version == before.version
    async with catalog.database.write() as transaction:
        video = await VideoRepository(transaction.session).get(video_id)
        assert video is not None
        await process_anew(transaction, video, before.reference, 9)
    async with catalog.database.read() as session:
        replaced = await VideoRepository(session).get(video_id)
    assert replaced is not None
    assert replaced.source is not None
    assert replaced.source.version > before.version


async def test_an_upgrade_keeps_the_version_that_entity_tags_have(catalog: Catalog, database_url: str) -> None:
    await reset_to("0011", database_url)
    video_id = new_id()
    await insert(catalog.database, "videos", [video_of_before(video_id, "Old") | {"version": 7}])
    await insert_as_before_assets(catalog.database, video_id)
    await asyncio.to_thread(upgrade, MIGRATIONS, database_url)
    assert (await get_source(catalog, video_id)).version == 7


async def test_a_file_that_a_replica_of_before_writes_is_a_source(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    await remove_source(catalog.database, video_id)
    asset_id = await insert_as_before_assets(catalog.database, video_id)
    answer = await get_source(catalog, video_id)
    assert (answer.asset_id, answer.asset_kind, answer.reference) == (asset_id, "source", f"videos/{video_id}/old")
