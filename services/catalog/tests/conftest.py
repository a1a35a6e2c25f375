"""Fixtures of catalog's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.db.database import Database
from kit.media import MediaStore
from kit.media_store import BucketStore, FolderStore, WritableStore
from kit.origins import Bucket, OriginClient
from kit.service import Role
from kit.settings import load
from kit.testing.buckets import make_bucket
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus, HeaderAuthenticator
from kit.testing.servers import WrittenS3Server
from services.catalog.__main__ import MIGRATIONS, build
from services.catalog.settings import CatalogSettings
from services.catalog.tests.support import Catalog

PART_BYTES = 64 * 1024
"""Of the parts of uploads to a bucket: small ones, so that a test has many."""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> MigratedDatabases:
    return MigratedDatabases(MIGRATIONS, tmp_path_factory.mktemp("catalog"))


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated: MigratedDatabases) -> Iterator[str]:
    """A migrated database of the test's own."""
    if request.param == "sqlite":
        yield migrated.sqlite(tmp_path / "catalog.db")
        return
    with migrated.postgres(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture
def uploads() -> str:
    """Who may upload; some tests override it."""
    return "admin"


@pytest.fixture
def catalog_settings() -> dict[str, Any]:
    """Other settings; some tests override it."""
    return {}


@pytest.fixture
async def catalog(
    database_url: str, tmp_path: Path, uploads: str, catalog_settings: dict[str, Any]
) -> AsyncIterator[Catalog]:
    settings = load(
        CatalogSettings,
        database_url=database_url,
        broker_url="local:",
        uploads=uploads,
        grpc_bind=f"unix:{tmp_path / 'grpc'}",
        auth_address=f"unix:{tmp_path / 'absent'}",
        progress_address=f"unix:{tmp_path / 'progress'}",
        **{"media_url": (tmp_path / "media").as_uri()} | catalog_settings,
    )
    bus = FakeBus()
    service = build(settings, Role.SERVE, bus)
    service.app.state.authenticate = HeaderAuthenticator()
    await service.start()
    running = Catalog(service, bus, settings)
    yield running
    await running.http.aclose()
    await running.database.close()
    await service.stop(1)


@pytest.fixture
async def s3_client() -> AsyncIterator[OriginClient]:
    client = OriginClient(None, 60)
    yield client
    await client.close()


@pytest.fixture
async def bucket(written_s3_server: WrittenS3Server, s3_client: OriginClient) -> Bucket:
    """A bucket of its own."""
    return await make_bucket(written_s3_server, s3_client)


@pytest.fixture(params=["folder", "bucket"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> WritableStore:
    """Each kind of media store, empty and prepared."""
    if request.param == "folder":
        store: WritableStore = FolderStore(MediaStore(tmp_path / "media"))
    else:
        store = BucketStore(bucket, "marquee", PART_BYTES)
    await store.prepare()
    return store


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated: MigratedDatabases) -> str:
    """A migrated database of the test's own, where the kind makes no difference."""
    return migrated.sqlite(tmp_path / "catalog.db")


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own, where the kind makes no difference."""
    database = Database(sqlite_url)
    yield database
    await database.close()
