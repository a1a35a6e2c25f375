"""A whole catalog whose media store is a bucket."""

from __future__ import annotations

import os
from typing import Any

import pytest

from kit.ids import new_id
from kit.media_store import BucketStore
from kit.media_store.bucket import PART_BYTES
from kit.origins import Bucket
from kit.testing.fakes import event_of
from kit.testing.servers import WrittenS3Server
from marquee.events.v1 import media_pb2
from services.catalog.tests.integration.test_tus import begin, offset_of, send
from services.catalog.tests.support import ADMIN, Catalog

FILM = os.urandom(PART_BYTES + 1000)
LIMIT = 1 << 30


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Which database it is makes no difference here."""
    return sqlite_url


@pytest.fixture
def catalog_settings(bucket: Bucket, written_s3_server: WrittenS3Server) -> dict[str, Any]:
    """The media store is a bucket."""
    return {
        "media_url": f"s3://{bucket.name}/marquee",
        "s3_endpoint_url": written_s3_server.url,
        "s3_access_key_id": written_s3_server.access_key_id,
        "s3_secret_access_key": written_s3_server.secret_access_key,
    }


@pytest.fixture
def stored(bucket: Bucket) -> BucketStore:
    return BucketStore(bucket, "marquee")


async def test_a_film_of_a_form_is_shown_with_its_artwork(catalog: Catalog, stored: BucketStore) -> None:
    answer = await catalog.upload(content=FILM)
    assert answer.status_code == 201, answer.text
    video_id = answer.json()["id"]
    assert await stored.read(f"videos/{video_id}/source", LIMIT) == FILM
    reference = f"videos/{video_id}/thumbnail-{new_id()}/thumbnail.jpg"
    await stored.put(reference, b"picture")
    message = media_pb2.MediaThumbnailReady(video_id=video_id, reference=reference)
    await catalog.bus.deliver(event_of("media.thumbnail_ready", message, subject=video_id))
    await catalog.report_probed(video_id)
    picture = await catalog.http.get(f"/api/videos/{video_id}/thumbnail", headers=ADMIN)
    assert (picture.status_code, picture.content) == (200, b"picture")


async def test_a_film_that_is_none_is_removed(catalog: Catalog, stored: BucketStore) -> None:
    video_id = await catalog.uploaded()
    await catalog.report_failed(video_id)
    assert not await stored.has_folder(f"videos/{video_id}")


async def test_a_resumable_upload_becomes_a_video(catalog: Catalog, stored: BucketStore) -> None:
    path = await begin(catalog, len(FILM))
    assert (await send(catalog, path, 0, FILM[:1000])).status_code == 204
    assert await offset_of(catalog, path) == 1000
    last = await send(catalog, path, 1000, FILM[1000:])
    assert last.status_code == 204, last.text
    assert await stored.read(f"videos/{last.headers['Marquee-Video-Id']}/source", LIMIT) == FILM
    given_up = await begin(catalog, len(FILM))
    await send(catalog, given_up, 0, FILM[:1000])
    assert (await catalog.http.delete(given_up, headers=ADMIN | {"Tus-Resumable": "1.0.0"})).status_code == 204
    assert not await stored.has_folder("uploads")
