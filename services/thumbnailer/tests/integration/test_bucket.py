"""Jobs for films of a media store in S3: where files are staged, where artwork goes, and what failures do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from kit.events.envelope import Event
from kit.ids import new_id
from kit.media import MediaStore
from kit.media_store import BucketStore
from kit.origins import Object, Origins, OriginSettings
from kit.testing.fakes import FakeBus
from kit.testing.servers import WrittenS3Server, free_port
from lsv import FileSource, PackReader
from marquee.events.v1 import job_pb2, media_pb2, video_pb2
from services.thumbnailer import domain
from services.thumbnailer.domain import JobKind
from services.thumbnailer.lanes import Lane
from services.thumbnailer.media.artwork_store import BucketArtwork, clear_workspaces
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.results import Report, Thumbnail
from services.thumbnailer.service import Job, MediaProcessor, processor
from services.thumbnailer.tests.support import FakeKeys, processor_with
from services.thumbnailer.tests.unit.films import Film

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
    return processor_with(BucketArtwork(store, staging), originals, bus)


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


async def test_an_import_has_a_folder_before_it_has_artwork(store: BucketStore, staging: MediaStore) -> None:
    artwork = BucketArtwork(store, staging)
    video_id = new_id()
    assert not await artwork.has_folder(video_id)
    await artwork.add_folder(video_id)
    assert await artwork.has_folder(video_id)
    await store.remove(f"videos/{video_id}")
    assert not await artwork.has_folder(video_id)


async def test_artwork_that_can_not_be_saved_leaves_nothing(
    store: BucketStore, staging: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = store.put

    async def put_one(reference: str, data: bytes) -> None:
        if reference.endswith("b.jpg"):
            raise OSError(28, "full")
        await put(reference, data)

    monkeypatch.setattr(store, "put", put_one)
    with pytest.raises(MediaError, match=domain.THUMBNAIL_UNWRITABLE):
        await BucketArtwork(store, staging).save("videos/v1/posters-1", {"a.jpg": b"a", "b.jpg": b"b"})
    assert not await store.has_folder("videos/v1")


async def test_a_store_that_is_away_is_waited_for(
    staging: MediaStore, place: Object, bus: FakeBus, seen: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.origins.bucket.PAUSE_SEC", 0)
    origins = Origins(OriginSettings.model_validate({"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"}))
    artwork = BucketArtwork(BucketStore(origins.bucket(place.bucket), place.key), staging)
    originals = Originals(staging, origins, None, LIMIT, place)
    worker = processor_with(artwork, originals, bus)
    with pytest.raises(StoreUnavailableError):
        await worker.run(*a_job())
    await origins.close()
    assert bus.types() == []


async def test_a_pack_is_sent_in_parts_and_leaves_the_disk(
    worker: MediaProcessor, store: BucketStore, staging: MediaStore, bus: FakeBus, tmp_path: Path
) -> None:
    video_id, asset_id = new_id(), new_id()
    film = Film(4, sound="aac").save(tmp_path / "film.mp4")
    await store.put(f"videos/{video_id}/source", film.read_bytes())
    job = Job(video_id, f"videos/{video_id}/source", (JobKind.PROTECT,), asset_id, 2)
    event = Event.of(job_pb2.ProtectQueued(), source="thumbnailer", subject=video_id)
    await worker.run(event, Lane.PROTECT, job)
    (ready,) = [each for each in bus.published if each.type == "media.protected_ready"]
    pack = ready.read(media_pb2.MediaProtectedReady)
    data = await store.read(pack.reference, 1 << 24)
    assert len(data) == pack.size_bytes
    copy = tmp_path / "pack"
    copy.write_bytes(data)
    with FileSource(copy) as source:
        PackReader.open(source, FakeKeys.key(asset_id), content_id=UUID(video_id), content_version=2).verify()
    assert is_empty(staging)
    assert not list(staging.root.glob("workspaces/*"))


async def test_a_pack_that_the_bucket_does_not_take_is_sent_later(
    worker: MediaProcessor, store: BucketStore, bus: FakeBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video_id = new_id()
    await store.put(f"videos/{video_id}/source", Film(4).save(tmp_path / "film.mp4").read_bytes())
    job = Job(video_id, f"videos/{video_id}/source", (JobKind.PROTECT,), new_id(), 2)
    event = Event.of(job_pb2.ProtectQueued(), source="thumbnailer", subject=video_id)
    with monkeypatch.context() as patch:

        def refuse(_reference: str, _max_bytes: int) -> None:
            raise OSError(28, "full")

        patch.setattr(store, "writer", refuse)
        with pytest.raises(StoreUnavailableError):
            await worker.run(event, Lane.PROTECT, job)
    await store.remove(f"videos/{video_id}/source")
    await store.put(f"videos/{video_id}/thumbnail", b"x")
    await worker.run(event, Lane.PROTECT, job)
    assert bus.types().count("media.protected_ready") == 1, "the pack was made before"


async def test_workspaces_of_long_ago_are_removed_at_the_start(staging: MediaStore) -> None:
    for name, changed in (("old", 100), ("new", 300)):
        folder = staging.path(f"workspaces/{name}/spool")
        folder.mkdir(parents=True)
        (folder / "records").write_bytes(b"x")
        for path in (folder / "records", folder, folder.parent):
            os.utime(path, (changed, changed))
    clear_workspaces(staging, 200)
    assert [each.name for each in staging.path("workspaces").iterdir()] == ["new"]
