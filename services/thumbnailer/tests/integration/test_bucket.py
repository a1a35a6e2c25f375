"""Jobs for films of a media store in S3: where files are staged, where artwork goes, and what failures do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from kit.events.envelope import Event
from kit.ids import new_id
from kit.media import MediaStore
from kit.media_store import BucketStore
from kit.origins import Object, Origins, OriginSettings
from kit.testing.fakes import FakeBus
from kit.testing.servers import WrittenS3Server, free_port
from marquee.events.v1 import video_pb2
from services.thumbnailer import domain
from services.thumbnailer.domain import JobKind
from services.thumbnailer.lanes import RULES, Lane
from services.thumbnailer.media.artwork_store import BucketArtwork
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.inspection import DEFAULT_LIMITS
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.results import Report, Thumbnail
from services.thumbnailer.service import Job, LaneScheduler, MediaProcessor, processor

LIMIT = 1 << 20


@pytest.fixture
async def origins(written_s3_server: WrittenS3Server) -> AsyncIterator[Origins]:
    server = written_s3_server
    settings = {
        "s3_endpoint_url": server.url,
        "s3_access_key_id": server.access_key_id,
        "s3_secret_access_key": SecretStr(server.secret_access_key),
    }
    origins = Origins(OriginSettings.model_validate(settings))
    yield origins
    await origins.close()


@pytest.fixture
async def place(origins: Origins) -> Object:
    """A bucket and a prefix."""
    place = Object(f"thumbnailer-{new_id()}", "marquee")
    await origins.bucket(place.bucket)._send("PUT", "")  # CreateBucket
    return place


@pytest.fixture
def store(origins: Origins, place: Object) -> BucketStore:
    return BucketStore(origins.bucket(place.bucket), place.key)


@pytest.fixture
def staging(tmp_path: Path) -> MediaStore:
    staging = MediaStore(tmp_path / "staging")
    staging.prepare()
    return staging


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def worker(store: BucketStore, staging: MediaStore, origins: Origins, place: Object, bus: FakeBus) -> MediaProcessor:
    originals = Originals(staging, origins, None, LIMIT, place)
    scheduler = LaneScheduler(1, RULES)
    return MediaProcessor(BucketArtwork(store), originals, bus, DEFAULT_LIMITS, DEFAULT_LIMITS, scheduler)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Replace the child process; return the films that it was given."""
    films: list[bytes] = []

    async def inspect(source: Path, *_: object) -> Report:
        films.append(await asyncio.to_thread(source.read_bytes))
        files = {JobKind.THUMBNAIL: {"thumbnail.jpg": b"picture"}}
        return Report({JobKind.THUMBNAIL: Thumbnail("AAAA")}, {}, files)

    monkeypatch.setattr(processor, "inspect", inspect)
    return films


def a_job(reference: Callable[[str], str] = "videos/{}/source".format) -> tuple[Event, Lane, Job]:
    video_id = new_id()
    message = video_pb2.VideoUploaded(video_id=video_id, reference=reference(video_id))
    event = Event.of(message, source="catalog", subject=video_id)
    return event, Lane.UPLOAD_ARTWORK, Job(video_id, message.reference, (JobKind.THUMBNAIL,))


def is_empty(staging: MediaStore) -> bool:
    return not any(staging.incoming("any").parent.iterdir())


async def test_a_film_in_a_bucket_gets_its_artwork_there(
    worker: MediaProcessor, store: BucketStore, staging: MediaStore, bus: FakeBus, seen: list[bytes]
) -> None:
    event, lane, job = a_job()
    await store.put(job.reference, b"film")
    await worker.run(event, lane, job)
    assert seen == [b"film"]
    assert "media.thumbnail_ready" in bus.types()
    (folder,) = [entry.name async for entry in store.folders(f"videos/{job.video_id}")]
    assert folder.startswith("thumbnail-")
    assert await store.read(f"videos/{job.video_id}/{folder}/thumbnail.jpg", LIMIT) == b"picture"
    assert is_empty(staging)


async def test_running_twice_changes_nothing(worker: MediaProcessor, store: BucketStore, seen: list[bytes]) -> None:
    event, lane, job = a_job()
    await store.put(job.reference, b"film")
    await worker.run(event, lane, job)
    await worker.run(event, lane, job)
    assert len([entry async for entry in store.folders(f"videos/{job.video_id}")]) == 1


async def test_a_video_that_is_gone_is_forgotten(worker: MediaProcessor, bus: FakeBus, seen: list[bytes]) -> None:
    await worker.run(*a_job())
    assert seen == []
    assert bus.types() == []


async def test_a_film_that_is_missing_beside_its_artwork_is_tried_again(
    worker: MediaProcessor, store: BucketStore, staging: MediaStore, bus: FakeBus, seen: list[bytes]
) -> None:
    event, lane, job = a_job()
    await store.put(f"videos/{job.video_id}/posters-1/a.jpg", b"picture")
    with pytest.raises(StoreUnavailableError):
        await worker.run(event, lane, job)
    assert seen == []
    assert is_empty(staging)
    assert "media.job_changed" in bus.types()


async def test_an_import_has_a_folder_before_it_has_artwork(store: BucketStore) -> None:
    artwork = BucketArtwork(store)
    video_id = new_id()
    assert not await artwork.has_folder(video_id)
    await artwork.add_folder(video_id)
    assert await artwork.has_folder(video_id)
    await store.remove(f"videos/{video_id}")
    assert not await artwork.has_folder(video_id)


async def test_artwork_that_can_not_be_saved_leaves_nothing(
    store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = store.put

    async def put_one(reference: str, data: bytes) -> None:
        if reference.endswith("b.jpg"):
            raise OSError(28, "full")
        await put(reference, data)

    monkeypatch.setattr(store, "put", put_one)
    with pytest.raises(MediaError, match=domain.THUMBNAIL_UNWRITABLE):
        await BucketArtwork(store).save("videos/v1/posters-1", {"a.jpg": b"a", "b.jpg": b"b"})
    assert not await store.has_folder("videos/v1")


async def test_a_store_that_is_away_is_waited_for(
    staging: MediaStore, place: Object, bus: FakeBus, seen: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.origins.bucket.PAUSE_SEC", 0)
    origins = Origins(OriginSettings.model_validate({"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"}))
    artwork = BucketArtwork(BucketStore(origins.bucket(place.bucket), place.key))
    originals = Originals(staging, origins, None, LIMIT, place)
    worker = MediaProcessor(artwork, originals, bus, DEFAULT_LIMITS, DEFAULT_LIMITS, LaneScheduler(1, RULES))
    with pytest.raises(StoreUnavailableError):
        await worker.run(*a_job())
    await origins.close()
    assert bus.types() == []
