"""Each adapter of the written store, empty and prepared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.media import MediaStore
from kit.media_store import BucketStore, FolderStore, WritableStore
from kit.origins import OriginClient
from kit.origins.bucket import Bucket
from kit.testing.buckets import make_bucket
from kit.testing.servers import WrittenS3Server

PART_BYTES = 64 * 1024
"""Small parts, so that a test has many."""
TIMEOUT_SEC = 60.0


@pytest.fixture
async def client() -> AsyncIterator[OriginClient]:
    client = OriginClient(None, TIMEOUT_SEC)
    yield client
    await client.close()


@pytest.fixture
async def bucket(written_s3_server: WrittenS3Server, client: OriginClient) -> Bucket:
    """A bucket of its own, whose listings have pages of three entries."""
    return await make_bucket(written_s3_server, client)


@pytest.fixture
def bucket_store(bucket: Bucket) -> BucketStore:
    return BucketStore(bucket, "marquee/media", PART_BYTES)


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(MediaStore(tmp_path / "media"))


@pytest.fixture(params=["folder", "bucket"])
async def store(request: pytest.FixtureRequest, folder_store: FolderStore, bucket_store: BucketStore) -> WritableStore:
    store: WritableStore = folder_store if request.param == "folder" else bucket_store
    await store.prepare()
    return store
