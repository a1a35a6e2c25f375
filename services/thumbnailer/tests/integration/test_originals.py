"""Thumbnails of films on other machines: what is fetched of them, and what is published when they can't be read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.events.envelope import Event
from kit.ids import new_id
from kit.media import MediaStore
from kit.origins import Origins, OriginSettings
from kit.testing.fakes import FakeBus
from kit.testing.origin import Origin
from marquee.events.v1 import media_pb2, video_pb2
from services.thumbnailer import domain
from services.thumbnailer.domain import JobKind
from services.thumbnailer.lanes import Lane
from services.thumbnailer.media import originals
from services.thumbnailer.media.artwork_store import FolderArtwork
from services.thumbnailer.media.errors import StoreUnavailableError
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.service import Job, MediaProcessor
from services.thumbnailer.tests.support import processor_with
from services.thumbnailer.tests.unit.films import Film


def noise(second: float, width: int, height: int) -> list[bytes]:
    """Return pictures that are hard to compress."""
    dice = random.Random(second)
    return [dice.randbytes(width) for _ in range(height)]


def noisy(path: Path, **container: str) -> bytes:
    """Make a film large enough to have a middle that is not needed; its index is at the end."""
    return Film(seconds=4, size=(64, 36), paint=noise, container=container).save(path).read_bytes()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    store = MediaStore(tmp_path / "store")
    store.prepare()
    return store


@pytest.fixture
def import_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "imports"
    folder.mkdir()
    return folder


@pytest.fixture
async def found(store: MediaStore, import_dir: Path) -> AsyncIterator[Originals]:
    settings = OriginSettings.model_validate(
        {"remote_allow": "127.0.0.1", "remote_ports": "*", "remote_timeout_sec": 2}
    )
    origins = Origins(settings)
    yield Originals(store, origins, import_dir, 2**20)
    await origins.close()


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def processor(store: MediaStore, found: Originals, bus: FakeBus) -> MediaProcessor:
    return processor_of(store, found, bus)


def processor_of(store: MediaStore, found: Originals, bus: FakeBus) -> MediaProcessor:
    return processor_with(FolderArtwork(store), found, bus)


PICTURES = (JobKind.FACTS, JobKind.THUMBNAIL)
WHOLE = (JobKind.STORYBOARD,)


@pytest.fixture
def film(tmp_path: Path) -> bytes:
    return noisy(tmp_path / "film.mp4")


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "HEAD_BYTES", 16 * 1024)
    monkeypatch.setattr(originals, "TAIL_BYTES", 8 * 1024)


def a_job(reference: str, kinds: tuple[JobKind, ...] = PICTURES) -> tuple[Event, Lane, Job]:
    video_id = new_id()
    message = video_pb2.VideoUploaded(video_id=video_id, reference=reference)
    return Event.of(message, source="catalog", subject=video_id), Lane.REPROCESS, Job(video_id, reference, kinds)


def results(bus: FakeBus) -> list[str]:
    return [kind for kind in bus.types() if kind != "media.job_changed"]


def states(bus: FakeBus) -> list[tuple[str, str]]:
    """Return the states and codes that were published."""
    changes = [each.read(media_pb2.MediaJobChanged) for each in bus.published if each.type == "media.job_changed"]
    return [(change.state, change.code) for change in changes]


def probed_of(bus: FakeBus) -> media_pb2.MediaProbed:
    return next(each for each in bus.published if each.type == "media.probed").read(media_pb2.MediaProbed)


def failure(bus: FakeBus) -> media_pb2.MediaFailed:
    (event,) = (each for each in bus.published if each.type == "media.failed")
    return event.read(media_pb2.MediaFailed)


def left_in(store: MediaStore) -> list[str]:
    return [path.name for path in (store.root / "incoming").iterdir()]


async def test_a_film_on_another_machine(
    processor: MediaProcessor, bus: FakeBus, store: MediaStore, origin: Origin, film: bytes
) -> None:
    origin.files["/film.mp4"] = film
    event, lane, job = a_job(origin.url("/film.mp4"))
    await processor.run(event, lane, job)
    assert results(bus) == ["media.probed", "media.thumbnail_ready"]
    probed = probed_of(bus)
    assert probed.reference == job.reference
    assert probed.duration_sec == pytest.approx(4, abs=0.1)
    assert probed.bitrate_bps == pytest.approx(len(film) * 8 / 4, rel=0.02)
    ready = next(each for each in bus.published if each.type == "media.thumbnail_ready")
    reference = ready.read(media_pb2.MediaThumbnailReady).reference
    assert store.path(reference).read_bytes().startswith(b"\xff\xd8")
    assert left_in(store) == []


@pytest.mark.usefixtures("_small_parts")
async def test_only_its_ends_are_fetched(processor: MediaProcessor, bus: FakeBus, origin: Origin, film: bytes) -> None:
    assert len(film) > 3 * (originals.HEAD_BYTES + originals.TAIL_BYTES)
    origin.files["/film.mp4"] = film
    await processor.run(*a_job(origin.url("/film.mp4")))
    assert results(bus) == ["media.probed", "media.thumbnail_ready"]
    assert origin.sent <= originals.HEAD_BYTES + originals.TAIL_BYTES + 1


@pytest.mark.usefixtures("_small_parts")
async def test_storyboard_has_the_whole_film_fetched(
    processor: MediaProcessor, bus: FakeBus, origin: Origin, film: bytes
) -> None:
    origin.files["/film.mp4"] = film
    await processor.run(*a_job(origin.url("/film.mp4"), WHOLE))
    assert results(bus) == ["media.storyboard_ready"]
    assert origin.sent >= len(film)


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("trailer", [b"SEFH" + b"\xff" * 500, b"\0\0\x10\0free", b"ID3"])
async def test_bytes_behind_a_film_do_not_matter(
    processor: MediaProcessor, bus: FakeBus, origin: Origin, film: bytes, trailer: bytes
) -> None:
    origin.files["/film.mp4"] = film + trailer
    await processor.run(*a_job(origin.url("/film.mp4")))
    assert results(bus) == ["media.probed", "media.thumbnail_ready"]
    assert origin.sent <= originals.HEAD_BYTES + originals.TAIL_BYTES + 1


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize(
    ("ending", "container"),
    [(".mp4", {"movflags": "frag_keyframe"}), (".mp4", {"movflags": "frag_keyframe+empty_moov"}), (".mkv", {})],
)
async def test_a_film_whose_middle_is_needed_is_fetched_whole(
    processor: MediaProcessor, bus: FakeBus, origin: Origin, tmp_path: Path, ending: str, container: dict[str, str]
) -> None:
    film = noisy(tmp_path / f"film{ending}", **container)
    origin.files["/film"] = film
    await processor.run(*a_job(origin.url("/film")))
    assert results(bus) == ["media.probed", "media.thumbnail_ready"]
    assert next(each for each in bus.published if each.type == "media.probed").read(
        media_pb2.MediaProbed
    ).duration_sec == pytest.approx(4, abs=0.1)
    assert origin.sent >= len(film)


@pytest.mark.usefixtures("_small_parts")
async def test_film_above_the_staging_limit_is_not_fetched(
    processor: MediaProcessor, bus: FakeBus, store: MediaStore, origin: Origin
) -> None:
    origin.files["/film.mp4"] = b"\0\0\0\x18ftypisom" + bytes(2**20 + 1)
    await processor.run(*a_job(origin.url("/film.mp4")))
    failed = failure(bus)
    assert (failed.code, failed.permanent) == (domain.TOO_LARGE_TO_STAGE, False)
    assert left_in(store) == []


async def test_a_film_in_the_folder_of_imports(
    processor: MediaProcessor, bus: FakeBus, import_dir: Path, film: bytes, tmp_path: Path
) -> None:
    (import_dir / "영화").mkdir()
    (import_dir / "영화" / "a film.mp4").write_bytes(film)
    await processor.run(*a_job("import:영화/a film.mp4"))
    assert results(bus) == ["media.probed", "media.thumbnail_ready"]
    (tmp_path / "secret.mp4").write_bytes(film)
    (import_dir / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(StoreUnavailableError):
        await processor.run(*a_job("import:link.mp4"))


@pytest.mark.parametrize("status", [403, 404])
async def test_origin_that_refuses_is_reported(
    processor: MediaProcessor, bus: FakeBus, origin: Origin, status: int
) -> None:
    origin.status = status
    await processor.run(*a_job(origin.url("/film.mp4")))
    failed = failure(bus)
    assert (failed.code, failed.permanent) == (domain.ORIGIN_REFUSES, False)


async def test_private_origin_is_refused(store: MediaStore, bus: FakeBus, origin: Origin) -> None:
    origins = Origins(OriginSettings.model_validate({"remote_ports": "*"}))
    await processor_of(store, Originals(store, origins, None, 0), bus).run(*a_job(origin.url("/film.mp4")))
    await origins.close()
    assert failure(bus).code == domain.ORIGIN_REFUSES
    assert not origin.connections


async def test_an_origin_that_is_away_is_asked_again_later(
    processor: MediaProcessor, bus: FakeBus, store: MediaStore, origin: Origin, film: bytes
) -> None:
    origin.files["/film.mp4"] = film
    origin.hangs = asyncio.Event()
    with pytest.raises(StoreUnavailableError):
        await processor.run(*a_job(origin.url("/film.mp4")))
    origin.hangs, origin.breaks_off_after = None, 100
    with pytest.raises(StoreUnavailableError):
        await processor.run(*a_job(origin.url("/film.mp4")))
    assert results(bus) == []
    assert left_in(store) == []


async def test_without_a_folder_of_imports_there_are_none(store: MediaStore, found: Originals) -> None:
    found._import_dir = None
    with pytest.raises(StoreUnavailableError, match="MARQUEE_IMPORT_DIR"):
        async with found.provide("import:film.mp4"):
            pass
