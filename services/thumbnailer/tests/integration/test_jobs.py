"""From an upload to its artwork through both buses: order, retries, failures of one job, old messages."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kit.bus import Bus, BusUnavailableError, Subscription
from kit.bus.local import LocalBus
from kit.bus.rabbit import RabbitBus
from kit.events.envelope import Event
from kit.ids import new_id
from kit.media import MediaStore
from kit.origins import Origins, OriginSettings
from kit.testing.bus_contract import start
from kit.testing.fakes import FakeBus
from marquee.events.v1 import job_pb2, media_pb2, video_pb2
from services.thumbnailer import consumers, domain
from services.thumbnailer.domain import INSPECTIONS, JobKind, MediaFailure
from services.thumbnailer.lanes import Lane
from services.thumbnailer.media import inspection
from services.thumbnailer.media.artwork_store import FolderArtwork
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.results import Report, Thumbnail
from services.thumbnailer.service import Job, MediaProcessor, processor
from services.thumbnailer.service.messages import QUEUED
from services.thumbnailer.tests.support import processor_with
from services.thumbnailer.tests.unit.films import Film

Made = Callable[[Path, tuple[JobKind, ...]], Report]
IMPORTS = 200


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
def worker(store: MediaStore, originals: Originals, bus: FakeBus) -> MediaProcessor:
    worker = worker_of(store, originals, bus)
    consumers.subscribe(bus, worker, 2)
    return worker


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[Made], None]:
    """Return a function that replaces the child process."""

    def replace(make: Made) -> None:
        async def inspect(source: Path, kinds: tuple[JobKind, ...], *_: object) -> Report:
            return make(source, tuple(kinds))

        monkeypatch.setattr(processor, "inspect", inspect)

    return replace


def worker_of(store: MediaStore, originals: Originals, bus: Bus, slots: int = 2) -> MediaProcessor:
    return processor_with(FolderArtwork(store), originals, bus, slots=slots)


def import_job(film: Event) -> Event:
    job = job_pb2.MediaJob(video_id=film.subject, reference=f"videos/{film.subject}/source", kinds=["facts"])
    return Event.of(job_pb2.ImportFactsQueued(job=job), source="thumbnailer", subject=film.subject)


def requested(film: Event) -> Event:
    """Return the event that asks for all of a film again, as earlier releases write it: without kinds."""
    message = video_pb2.VideoProcessRequested(video_id=film.subject, reference=f"videos/{film.subject}/source")
    return Event.of(message, source="catalog", subject=film.subject)


async def ignore(_event: Event) -> None:
    """Handle an event."""


def uploaded(store: MediaStore, film: Path | None = None) -> Event:
    video_id = new_id()
    folder = store.path(f"videos/{video_id}")
    folder.mkdir(parents=True)
    (folder / "source").write_bytes(film.read_bytes() if film else b"x")
    message = video_pb2.VideoUploaded(video_id=video_id, reference=f"videos/{video_id}/source")
    return Event.of(message, source="catalog", subject=video_id)


def queued(bus: FakeBus) -> list[Event]:
    return [event for event in bus.published if event.type.startswith("job.")]


def kinds_of(event: Event) -> list[str]:
    lane = next(lane for lane, subscription in consumers.LANES.items() if event.type in subscription.types)
    return list(event.read(QUEUED[lane]).job.kinds)


def changes(bus: FakeBus) -> list[tuple[list[str], str, str]]:
    found = [each.read(media_pb2.MediaJobChanged) for each in bus.published if each.type == "media.job_changed"]
    return [(list(change.kinds), change.state, change.code) for change in found]


async def everything(bus: FakeBus, event: Event) -> None:
    """Deliver an event, and all jobs that follow from it."""
    await bus.deliver(event)
    done = 0
    while done < len(queued(bus)):
        job = queued(bus)[done]
        done += 1
        await bus.deliver(job)


@pytest.mark.usefixtures("worker")
async def test_facts_come_before_artwork(bus: FakeBus, store: MediaStore, tmp_path: Path) -> None:
    event = uploaded(store, Film(seconds=3).save(tmp_path / "film.mp4"))
    await everything(bus, event)
    assert [(each.type, kinds_of(each)) for each in queued(bus)] == [
        ("job.upload_facts_queued", ["facts"]),
        ("job.upload_artwork_queued", ["thumbnail", "posters", "storyboard"]),
    ]
    results = [kind for kind in bus.types() if kind.startswith("media.") and kind != "media.job_changed"]
    assert results == ["media.probed", "media.thumbnail_ready", "media.posters_ready", "media.storyboard_ready"]
    names = sorted(path.name for path in store.path(f"videos/{event.subject}").rglob("*") if path.is_file())
    assert names == ["poster-320.jpg", "poster-320.webp", "source", "storyboard-0.jpg", "thumbnail.jpg"]
    assert not list(store.root.rglob(".artwork-*"))


@pytest.mark.usefixtures("worker")
async def test_running_twice_changes_nothing(bus: FakeBus, store: MediaStore, tmp_path: Path) -> None:
    event = uploaded(store, Film(seconds=3).save(tmp_path / "film.mp4"))
    await everything(bus, event)
    ids = [each.id for each in bus.published]
    files = sorted(store.root.rglob("*"))
    bus.published.clear()
    await everything(bus, event)
    assert [each.id for each in bus.published] == ids
    assert sorted(store.root.rglob("*")) == files


@pytest.mark.usefixtures("worker")
async def test_lanes_follow_from_where_a_film_lies(bus: FakeBus) -> None:
    for reference, lane in (
        ("videos/a/source", "job.upload_facts_queued"),
        ("import:film.mp4", "job.import_facts_queued"),
        ("https://example.org/film.mp4", "job.import_facts_queued"),
    ):
        bus.published.clear()
        message = video_pb2.VideoUploaded(video_id=new_id(), reference=reference)
        await bus.deliver(Event.of(message, source="catalog", subject=message.video_id))
        assert [each.type for each in queued(bus)] == [lane]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("kinds", "expected"),
    [([], [kind.value for kind in INSPECTIONS]), (["storyboard"], ["storyboard"]), (["posters", "x"], ["posters"])],
)
async def test_reprocessing_names_its_jobs(kinds: list[str], expected: list[str], bus: FakeBus) -> None:
    """Events of earlier releases name none, and mean all."""
    message = video_pb2.VideoProcessRequested(video_id=new_id(), reference="videos/a/source", kinds=kinds)
    await bus.deliver(Event.of(message, source="catalog", subject=message.video_id))
    assert [(each.type, kinds_of(each)) for each in queued(bus)] == [("job.reprocess_queued", expected)]
    assert changes(bus) == [(expected, "waiting", "")]


async def test_one_failed_job_leaves_the_others(
    worker: MediaProcessor, bus: FakeBus, store: MediaStore, made: Callable[[Made], None]
) -> None:
    made(
        lambda _source, _kinds: Report(
            {JobKind.THUMBNAIL: Thumbnail("AAAA")},
            {JobKind.STORYBOARD: MediaFailure.of(domain.DAMAGED)},
            {JobKind.THUMBNAIL: {"thumbnail.jpg": b"x"}},
        )
    )
    event = uploaded(store)
    job = Job(event.subject, f"videos/{event.subject}/source", (JobKind.THUMBNAIL, JobKind.STORYBOARD))
    await worker.run(event, Lane.UPLOAD_ARTWORK, job)
    assert "media.thumbnail_ready" in bus.types()
    assert changes(bus)[-1] == (["storyboard"], "failed", domain.DAMAGED)
    assert "media.failed" not in bus.types(), "the film plays"


@pytest.mark.parametrize("code", [domain.DECODER_CRASHED, domain.TIME_LIMIT, domain.MEMORY_LIMIT])
async def test_run_that_is_taken_down_is_split(
    code: str, worker: MediaProcessor, bus: FakeBus, store: MediaStore, made: Callable[[Made], None]
) -> None:
    def make(_source: Path, kinds: tuple[JobKind, ...]) -> Report:
        if JobKind.STORYBOARD in kinds:
            raise MediaError.of(code)
        return Report({JobKind.THUMBNAIL: Thumbnail("AAAA")}, {}, {JobKind.THUMBNAIL: {"thumbnail.jpg": b"x"}})

    made(make)
    event = uploaded(store)
    job = Job(event.subject, f"videos/{event.subject}/source", (JobKind.THUMBNAIL, JobKind.STORYBOARD))
    await worker.run(event, Lane.UPLOAD_ARTWORK, job)
    assert [kinds_of(each) for each in queued(bus)] == [["thumbnail"], ["storyboard"]]
    for each in queued(bus):
        await bus.deliver(each)
    assert bus.types().count("media.thumbnail_ready") == 1
    assert [change for change in changes(bus) if change[1] == "failed"] == [(["storyboard"], "failed", code)]
    assert len(queued(bus)) == 2, "reported once, and not again and again"


async def test_what_may_pass_is_tried_again_by_the_bus(
    worker: MediaProcessor, bus: FakeBus, store: MediaStore, made: Callable[[Made], None]
) -> None:
    made(lambda _source, kinds: Report({}, dict.fromkeys(kinds, MediaFailure.of(domain.FILE_UNREADABLE))))
    event = uploaded(store)
    both = Job(event.subject, f"videos/{event.subject}/source", (JobKind.THUMBNAIL, JobKind.STORYBOARD))
    await worker.run(event, Lane.UPLOAD_ARTWORK, both)
    assert [kinds_of(each) for each in queued(bus)] == [["thumbnail"], ["storyboard"]]
    with pytest.raises(StoreUnavailableError):
        await bus.deliver(queued(bus)[0])
    assert ("retrying", domain.FILE_UNREADABLE) in {change[1:] for change in changes(bus)}


async def test_facts_that_fail_fail_the_video(
    worker: MediaProcessor, bus: FakeBus, store: MediaStore, made: Callable[[Made], None]
) -> None:
    def make(_source: Path, _kinds: tuple[JobKind, ...]) -> Report:
        raise MediaError.of(domain.NOT_A_VIDEO)

    made(make)
    event = uploaded(store)
    await worker.run(event, Lane.REPROCESS, Job(event.subject, f"videos/{event.subject}/source", INSPECTIONS))
    assert changes(bus)[-1] == ([kind.value for kind in INSPECTIONS], "failed", domain.NOT_A_VIDEO)
    assert bus.types()[-1] == "media.failed"
    assert queued(bus) == []


async def test_video_that_is_gone_is_forgotten(worker: MediaProcessor, bus: FakeBus) -> None:
    event = Event.of(job_pb2.ReprocessQueued(), source="thumbnailer", subject="a")
    await worker.run(event, Lane.REPROCESS, Job(new_id(), f"videos/{new_id()}/source", (JobKind.POSTERS,)))
    assert bus.published == []


async def test_jobs_are_not_lost_while_no_queue_is_there(bus: FakeBus, worker: MediaProcessor) -> None:
    bus.available = False
    with pytest.raises(BusUnavailableError):
        await worker.plan(
            Event.of(job_pb2.ReprocessQueued(), source="thumbnailer", subject="a"),
            Job(new_id(), "videos/a/source", INSPECTIONS), again=True,
        )  # fmt: skip


@pytest.fixture(params=["local", "rabbit"])
def real_bus(request: pytest.FixtureRequest, tmp_path: Path) -> Bus:
    """Return a bus of each kind: what lanes need of one holds for both."""
    if request.param == "local":
        return LocalBus(tmp_path / "bus.db")
    name = f"t{uuid.uuid4().hex[:8]}"
    url = request.getfixturevalue("rabbit_server").url
    return RabbitBus(url, service="test", exchange=name, prefix=f"{name}.", confirm_sec=60)


async def test_upload_is_served_while_imports_wait(
    real_bus: Bus, store: MediaStore, originals: Originals, made: Callable[[Made], None]
) -> None:
    """The upload is among the first jobs, not behind the imports."""
    order: list[str] = []
    upload_done = asyncio.Event()
    upload = uploaded(store)

    def make(source: Path, _kinds: tuple[JobKind, ...]) -> Report:
        order.append(source.parent.name)
        if source.parent.name == upload.subject:
            upload_done.set()
        raise MediaError.of(domain.NOT_A_VIDEO)

    made(make)
    worker = worker_of(store, originals, real_bus, slots=1)
    consumers.subscribe(real_bus, worker, 1)
    real_bus.subscribe(Subscription("catalog.media", ("media.*",), concurrency=8), ignore)
    await start(real_bus)
    try:
        await real_bus.publish([import_job(uploaded(store)) for _ in range(IMPORTS)])
        await real_bus.publish([upload])
        async with asyncio.timeout(60):
            await upload_done.wait()
        assert len(order) < IMPORTS
    finally:
        await real_bus.close(drain_sec=0)


async def test_jobs_of_an_earlier_run_are_done(
    real_bus: Bus, store: MediaStore, originals: Originals, made: Callable[[Made], None]
) -> None:
    """What lay in `thumbnailer.jobs` when the release changed becomes jobs in lanes."""
    seen: list[str] = []
    done = asyncio.Event()

    def make(source: Path, _kinds: tuple[JobKind, ...]) -> Report:
        seen.append(source.parent.name)
        if len(seen) == len(old):
            done.set()
        raise MediaError.of(domain.NOT_A_VIDEO)

    made(make)
    old = [uploaded(store), requested(uploaded(store))]
    consumers.subscribe(real_bus, worker_of(store, originals, real_bus), 2)
    real_bus.subscribe(Subscription("catalog.media", ("media.*",), concurrency=8), ignore)
    await start(real_bus)
    try:
        await real_bus.publish(old)
        async with asyncio.timeout(60):
            await done.wait()
        assert sorted(seen) == sorted(event.subject for event in old)
    finally:
        await real_bus.close(drain_sec=0)


def test_limits_of_a_run_have_a_niceness() -> None:
    assert Limits().with_niceness(19).niceness == 19
    assert inspection.DEFAULT_LIMITS.niceness == 10
