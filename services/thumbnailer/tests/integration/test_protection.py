"""From an upload that is to be protected to its pack: order, retries, kills, failures, keys from stream."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from grpc import aio

from kit.events.envelope import Event
from kit.ids import new_id
from kit.media import MediaStore
from kit.origins import Origins, OriginSettings
from kit.rpc import GrpcServer, connect
from kit.testing.fakes import FakeBus
from lsv import FileSource, PackReader
from marquee.events.v1 import job_pb2, media_pb2, video_pb2
from marquee.stream.v1 import stream_pb2, stream_pb2_grpc
from services.thumbnailer import consumers, domain
from services.thumbnailer.clients.stream import StreamKeys
from services.thumbnailer.media.artwork_store import FolderArtwork
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.media.packing import packer
from services.thumbnailer.media.packing.pack import write_pack
from services.thumbnailer.service import MediaProcessor
from services.thumbnailer.tests.support import FakeKeys, processor_with
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.packing.support import TWO_SECONDS, remuxed

VERSION = 4


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    store = MediaStore(tmp_path / "store")
    store.prepare()
    return store


@pytest.fixture
async def originals(store: MediaStore) -> AsyncIterator[Originals]:
    origins = Origins(OriginSettings.model_validate({}))
    yield Originals(store, origins, None, 2**20)
    await origins.close()


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture(autouse=True)
def worker(store: MediaStore, originals: Originals, bus: FakeBus, keys: FakeKeys) -> MediaProcessor:
    limits = Limits(wall_sec=120, cpu_sec=120)
    worker = processor_with(FolderArtwork(store), originals, bus, keys=keys, limits=limits)
    consumers.subscribe(bus, worker, 2)
    return worker


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return TWO_SECONDS.save(tmp_path / "film.mp4")


def uploaded(store: MediaStore, film: Path, asset_id: str | None = None) -> Event:
    video_id = new_id()
    folder = store.path(f"videos/{video_id}")
    folder.mkdir(parents=True)
    shutil.copy(film, folder / "source")
    message = video_pb2.VideoUploaded(
        video_id=video_id,
        reference=f"videos/{video_id}/source",
        pack_asset_id=new_id() if asset_id is None else asset_id,
        content_version=VERSION,
    )
    return Event.of(message, source="catalog", subject=video_id)


def to_protect(upload: Event) -> Event:
    """Return the job that follows from an upload."""
    message = upload.read(video_pb2.VideoUploaded)
    job = job_pb2.MediaJob(
        video_id=message.video_id,
        reference=message.reference,
        kinds=["protect"],
        pack_asset_id=message.pack_asset_id,
        content_version=message.content_version,
    )
    return Event.of(job_pb2.ProtectQueued(job=job), source="thumbnailer", subject=upload.subject)


def jobs(bus: FakeBus) -> list[Event]:
    return [event for event in bus.published if event.type.startswith("job.")]


def states(bus: FakeBus) -> list[tuple[str, str]]:
    found = [each.read(media_pb2.MediaJobChanged) for each in bus.published if each.type == "media.job_changed"]
    return [(change.state, change.code) for change in found if list(change.kinds) == ["protect"]]


def packs(bus: FakeBus) -> list[media_pb2.MediaProtectedReady]:
    return [each.read(media_pb2.MediaProtectedReady) for each in bus.published if each.type == "media.protected_ready"]


def plaintext(store: MediaStore, pack: media_pb2.MediaProtectedReady) -> bytes:
    with FileSource(store.path(pack.reference)) as source:
        key = FakeKeys.key(pack.asset_id)
        reader = PackReader.open(source, key, content_id=UUID(pack.video_id), content_version=pack.content_version)
        return b"".join(reader.read(index) for index in range(len(reader.header.entries)))


async def everything(bus: FakeBus, event: Event) -> None:
    """Deliver an event, and all jobs that follow from it."""
    await bus.deliver(event)
    done = 0
    while done < len(jobs(bus)):
        done += 1
        await bus.deliver(jobs(bus)[done - 1])


async def test_protected_upload_is_packed_once_it_is_known_to_be_a_film(
    bus: FakeBus, store: MediaStore, keys: FakeKeys, film: Path
) -> None:
    event = uploaded(store, film)
    await everything(bus, event)
    assert [each.type for each in jobs(bus)] == [
        "job.upload_facts_queued",
        "job.upload_artwork_queued",
        "job.protect_queued",
    ]
    (pack,) = packs(bus)
    asked = event.read(video_pb2.VideoUploaded)
    assert (pack.video_id, pack.asset_id, pack.content_version) == (event.subject, asked.pack_asset_id, VERSION)
    assert keys.asked == [(event.subject, asked.pack_asset_id)]
    assert pack.reference.startswith(f"videos/{event.subject}/protect-")
    path = store.path(pack.reference)
    assert (path.name, path.stat().st_size) == ("pack.lsv", pack.size_bytes)
    assert [each.name for each in path.parent.iterdir()] == ["pack.lsv"]
    assert plaintext(store, pack) == remuxed(film)
    assert states(bus) == [("waiting", ""), ("running", "")]


async def test_film_without_source_gets_another_key(
    bus: FakeBus, store: MediaStore, keys: FakeKeys, film: Path
) -> None:
    event = uploaded(store, film)
    await everything(bus, event)
    (first,) = packs(bus)
    store.path(f"videos/{event.subject}/source").unlink()
    bus.published.clear()
    keys.asked.clear()
    again = video_pb2.VideoProcessRequested(
        video_id=event.subject,
        reference=first.reference,
        kinds=["protect"],
        pack_asset_id=new_id(),
        content_version=VERSION + 1,
        present_pack_asset_id=first.asset_id,
        present_content_version=VERSION,
    )
    await everything(bus, Event.of(again, source="catalog", subject=event.subject))
    (second,) = packs(bus)
    assert second.reference != first.reference
    assert keys.asked == [(event.subject, again.pack_asset_id), (event.subject, first.asset_id)]
    assert (second.asset_id, second.content_version) == (again.pack_asset_id, VERSION + 1)
    assert plaintext(store, second) == plaintext(store, first)
    assert second.pack_id != first.pack_id
    assert store.path(first.reference).exists(), "it is served until catalog turns to the new one"


async def test_other_upload_is_not_packed(bus: FakeBus, store: MediaStore, film: Path) -> None:
    await everything(bus, uploaded(store, film, asset_id=""))
    assert [each.type for each in jobs(bus)] == ["job.upload_facts_queued", "job.upload_artwork_queued"]
    assert packs(bus) == []


async def test_film_that_fails_is_not_packed(bus: FakeBus, store: MediaStore, tmp_path: Path) -> None:
    broken = tmp_path / "text"
    broken.write_bytes(b"no film")
    await everything(bus, uploaded(store, broken))
    assert [each.type for each in jobs(bus)] == ["job.upload_facts_queued"]
    assert "media.failed" in bus.types()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["protect"], ["job.protect_queued"]),
        (["facts", "protect"], ["job.reprocess_queued", "job.protect_queued"]),
        ([], ["job.reprocess_queued"]),
    ],
)
async def test_film_is_packed_again_on_demand(kinds: list[str], expected: list[str], bus: FakeBus) -> None:
    video_id, asset_id = new_id(), new_id()
    message = video_pb2.VideoProcessRequested(
        video_id=video_id, reference="videos/a/source", kinds=kinds, pack_asset_id=asset_id, content_version=7
    )
    await bus.deliver(Event.of(message, source="catalog", subject=video_id))
    assert [each.type for each in jobs(bus)] == expected
    if "protect" in kinds:
        job = jobs(bus)[-1].read(job_pb2.ProtectQueued).job
        assert (list(job.kinds), job.pack_asset_id, job.content_version) == (["protect"], asset_id, 7)


async def test_running_twice_keeps_the_pack_also_without_source(bus: FakeBus, store: MediaStore, film: Path) -> None:
    """A process may die between publishing and acknowledging, and catalog has removed the source by then."""
    event = uploaded(store, film)
    job = to_protect(event)
    await bus.deliver(job)
    before = store.path(packs(bus)[0].reference).read_bytes()
    ids = [each.id for each in bus.published]
    store.path(f"videos/{event.subject}/source").unlink()
    await bus.deliver(job)
    assert [each.id for each in bus.published] == ids * 2
    first, second = packs(bus)
    assert first == second
    assert store.path(first.reference).read_bytes() == before


async def test_key_that_can_not_be_had_now_is_waited_for(
    bus: FakeBus, store: MediaStore, keys: FakeKeys, film: Path
) -> None:
    job = to_protect(uploaded(store, film))
    keys.is_away = True
    with pytest.raises(StoreUnavailableError):
        await bus.deliver(job)
    assert states(bus) == [("running", ""), ("retrying", domain.KEYS_UNAVAILABLE)]
    assert packs(bus) == []
    keys.is_away = False
    await bus.deliver(job)
    assert len(packs(bus)) == 1


async def test_attempt_that_was_interrupted_goes_on(
    bus: FakeBus, store: MediaStore, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = to_protect(uploaded(store, film))
    fails = True

    def write_some(read: Any, *arguments: Any, **others: Any) -> Any:
        left = len(remuxed(film)) // 2

        def read_some(count: int) -> bytes:
            nonlocal left
            left -= count
            if fails and left < 0:
                raise OSError("the disk is gone")
            return bytes(read(count))

        return write_pack(read_some, *arguments, **others)

    monkeypatch.setattr(packer, "write_pack", write_some)
    with pytest.raises(StoreUnavailableError):
        await bus.deliver(job)
    assert states(bus)[-1] == ("retrying", domain.PACK_UNWRITABLE)
    (records,) = store.root.rglob("records")
    sealed = records.read_bytes()
    assert sealed
    fails = False
    await bus.deliver(job)
    (pack,) = packs(bus)
    assert sealed in store.path(pack.reference).read_bytes()
    assert plaintext(store, pack) == remuxed(film)


async def test_film_that_can_not_be_packed_says_why(bus: FakeBus, store: MediaStore, tmp_path: Path) -> None:
    event = uploaded(store, Film(3, codec="mpeg4").save(tmp_path / "film.mp4"))
    await everything(bus, event)
    assert states(bus)[-1] == ("failed", domain.NEEDS_TRANSCODING)
    assert "media.failed" not in bus.types(), "it is a film"
    assert packs(bus) == []
    assert not list(store.path(f"videos/{event.subject}").glob("protect-*"))


async def test_video_that_was_purged_meanwhile_is_forgotten(bus: FakeBus, store: MediaStore, film: Path) -> None:
    event = uploaded(store, film)
    shutil.rmtree(store.path(f"videos/{event.subject}"))
    await bus.deliver(to_protect(event))
    assert bus.published == []
    assert not store.path(f"videos/{event.subject}").exists()


class KeyService(stream_pb2_grpc.StreamServiceServicer):
    """Stream, as far as a packer needs it."""

    def __init__(self, secret: bytes, status: grpc.StatusCode | None = None) -> None:
        self.answer = stream_pb2.IssueContentKeyResponse(key_id=str(UUID(int=5)), secret=secret)
        self.status = status
        self.asked: list[tuple[str, str]] = []

    async def IssueContentKey(self, request: Any, context: Any) -> stream_pb2.IssueContentKeyResponse:  # noqa: N802
        """Answer, or fail."""
        self.asked.append((request.video_id, request.asset_id))
        if self.status:
            await context.abort(self.status, "no key")
        return self.answer


@pytest.mark.parametrize(
    ("secret", "status"),
    [
        (b"k" * 32, None),
        (b"short", None),
        (b"", grpc.StatusCode.UNAVAILABLE),
        (b"", grpc.StatusCode.FAILED_PRECONDITION),
        (b"", grpc.StatusCode.UNIMPLEMENTED),
    ],
    ids=["key", "malformed", "unavailable", "without master key", "older stream"],
)
async def test_keys_come_from_stream(secret: bytes, status: grpc.StatusCode | None, tmp_path: Path) -> None:
    service = KeyService(secret, status)
    address = f"unix:{tmp_path / 'stream'}"

    def register(servicer: KeyService, server: aio.Server) -> None:
        stream_pb2_grpc.add_StreamServiceServicer_to_server(servicer, server)

    server = GrpcServer("stream", address, [partial(register, service)])
    await server.start()
    channel = connect(address)
    try:
        if secret == b"k" * 32:
            key = await StreamKeys(channel).issue("v", "a")
            assert (key.id, key.secret) == (UUID(int=5), secret)
        else:
            with pytest.raises(MediaError) as caught:
                await StreamKeys(channel).issue("v", "a")
            assert caught.value.failure.code == domain.KEYS_UNAVAILABLE
            assert not caught.value.failure.permanent
            assert "short" not in str(caught.value.__cause__)
        assert service.asked == [("v", "a")]
    finally:
        await channel.close()
        await server.stop(0)
