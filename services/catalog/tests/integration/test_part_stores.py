"""What every store of unfinished uploads must do: two replicas, lost leases, kills and lost bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError
from kit.media import MediaStore
from kit.media_store import BucketStore, FolderStore, WritableStore
from kit.origins.bucket import Bucket
from services.catalog.domain import source_reference
from services.catalog.models import ResumableUpload
from services.catalog.repository.videos import VideoRepository
from services.catalog.service import (
    Admission,
    Checksum,
    Chunk,
    Limits,
    NewUpload,
    ResumableUploads,
    Sweep,
    UploadCutError,
    UploadSweep,
    upload_writer,
)
from services.catalog.tests.conftest import PART_BYTES
from services.catalog.uploads.bucket_parts import BucketParts
from services.catalog.uploads.folder_parts import FolderParts
from services.catalog.uploads.part_store import PartStore, UploadLostError
from services.catalog.uploads.repository import UploadRepository

FILM = os.urandom(3 * PART_BYTES + 1000)
ANN = Caller("ann", "admin", "active")
EXPIRY = timedelta(hours=1)


class Replicas:
    """Two replicas on one store and one database; a test moves the time."""

    def __init__(self, database: Database, store: WritableStore, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self.database = database
        self.store = store
        self.parts: list[PartStore] = [
            BucketParts(store) if isinstance(store, BucketStore) else FolderParts(MediaStore(folder)) for _ in range(2)
        ]
        admission = Admission(database, store, Limits(1 << 30, 0), lambda: self.now)
        self.all = [
            ResumableUploads(database, parts, admission, duplicates="allow", expiry=EXPIRY, clock=lambda: self.now)
            for parts in self.parts
        ]

    async def begin(self, length: int | None = len(FILM)) -> ResumableUpload:
        return await self.all[0].create(NewUpload(length, "Film", "", [], None, ""), ANN)

    async def send(
        self,
        replica: int,
        upload: ResumableUpload,
        body: AsyncIterator[bytes],
        offset: int | None = None,
        **more: object,
    ) -> ResumableUpload:
        if offset is None:
            offset = (await self.all[replica].get(upload.id, ANN)).received_bytes
        return await self.all[replica].append(upload.id, ANN, Chunk(offset, **more), body)  # type: ignore[arg-type]

    async def check(self, upload: ResumableUpload, film: bytes = FILM) -> None:
        """Have one video of the right bytes, and nothing beside it."""
        assert await self.store.read(source_reference(upload.video_id), len(film)) == film
        async with self.database.read() as session:
            video = await VideoRepository(session).get(upload.video_id)
            assert await UploadRepository(session).tags(upload.id) == []
        assert video is not None
        assert video.source is not None
        assert (video.source.size_bytes, video.source.sha256) == (len(film), hashlib.sha256(film).hexdigest())
        await self.check_nothing_left()
        await UploadSweep(self.database, self.parts[1], lambda: self.now).once()
        await Sweep(self.database, self.store).once(time.time() + 60)
        assert await self.store.size(source_reference(upload.video_id)) == len(film)

    async def check_nothing_left(self) -> None:
        future = time.time() + 60
        assert await self.parts[0].leftovers(future) == []
        assert await self.store.clear_unfinished(future) == []


@pytest.fixture
async def replicas(sqlite: Database, store: WritableStore, tmp_path: Path) -> AsyncIterator[Replicas]:
    replicas = Replicas(sqlite, store, tmp_path / "media")
    yield replicas
    for each in replicas.all:
        each.close()


async def body(content: bytes, end: BaseException | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 20_000):
        yield content[start : start + 20_000]
    if end is not None:
        raise end


async def refusal(request: Awaitable[object]) -> str:
    with pytest.raises(ApiError) as refused:
        await request
    return str(refused.value.code)


@pytest.mark.parametrize("size", [1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, len(FILM)])
async def test_one_request_becomes_a_video(replicas: Replicas, size: int) -> None:
    upload = await replicas.begin(size)
    ended = await replicas.send(0, upload, body(FILM[:size]))
    assert (ended.status, ended.received_bytes) == ("finished", size)
    await replicas.check(upload, FILM[:size])


@pytest.mark.parametrize("step", [7_001, PART_BYTES, PART_BYTES + 5])
async def test_parts_of_any_size_reach_replicas_in_turn(replicas: Replicas, step: int) -> None:
    upload = await replicas.begin()
    for number, start in enumerate(range(0, len(FILM), step)):
        upload = await replicas.send(number % 2, upload, body(FILM[start : start + step]))
        assert upload.received_bytes == min(start + step, len(FILM))
    await replicas.check(upload)


async def test_what_arrived_before_a_cut_stays(replicas: Replicas) -> None:
    upload = await replicas.begin()
    for end in (1000, PART_BYTES, PART_BYTES + 10, 2 * PART_BYTES + 99):
        upload = await replicas.send(0, upload, body(FILM[upload.received_bytes : end], UploadCutError()))
        assert upload.received_bytes == end
    await replicas.check(await replicas.send(1, upload, body(FILM[upload.received_bytes :])))


async def test_a_length_that_is_declared_late(replicas: Replicas) -> None:
    upload = await replicas.begin(None)
    await replicas.send(0, upload, body(FILM[:100_000]))
    await replicas.send(1, upload, body(FILM[100_000:]))
    await replicas.check(await replicas.send(0, upload, body(b""), length=len(FILM)))


async def test_bytes_with_a_wrong_checksum_are_not_kept(replicas: Replicas) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:1000]))
    wrong = Checksum(hashlib.sha256(), b"wrong")
    # The bytes come again: not every server (rclone) lets a part of other bytes take the place of one.
    assert (
        await refusal(replicas.send(0, upload, body(FILM[1000:150_000]), checksum=wrong)) == "UPLOAD_CHECKSUM_MISMATCH"
    )
    assert (await replicas.all[1].get(upload.id, ANN)).received_bytes == 1000
    right = Checksum(hashlib.sha256(), hashlib.sha256(FILM[1000:]).digest())
    await replicas.check(await replicas.send(0, upload, body(FILM[1000:]), checksum=right))


async def test_a_killed_replica_costs_what_was_not_confirmed(replicas: Replicas) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:1000]))
    killed = replicas.send(0, upload, body(FILM[1000:150_000], asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await killed
    offset = (await replicas.all[1].get(upload.id, ANN)).received_bytes
    assert 1000 <= offset <= 150_000
    await replicas.check(await replicas.send(1, upload, body(FILM[offset:])))


async def test_a_request_without_its_lease_mixes_nothing(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await replicas.begin()
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def paused() -> AsyncIterator[bytes]:
        yield FILM[:100_000]
        has_begun.set()
        await goes_on.wait()
        yield bytes(len(FILM) - 100_000)

    first = asyncio.create_task(replicas.send(0, upload, paused(), 0))
    await has_begun.wait()
    assert await refusal(replicas.send(1, upload, body(FILM), 0)) == "UPLOAD_LOCKED"
    replicas.now += timedelta(seconds=20)
    await replicas.send(1, upload, body(FILM[:120_000]), 0)
    with monkeypatch.context() as patched:
        # For the first request as much time has passed as its lease needs to be renewed.
        patched.setattr(upload_writer, "RENEW_SEC", 0)
        goes_on.set()
        assert await refusal(first) == "UPLOAD_LOCKED"
    offset = (await replicas.all[1].get(upload.id, ANN)).received_bytes
    assert offset == 120_000
    await replicas.check(await replicas.send(1, upload, body(FILM[offset:])))


async def test_a_request_without_its_lease_removes_nothing(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was slow to open what lies there, and misses what the next request has put in order meanwhile."""
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:50_000]))

    async def misses(*_: object) -> None:
        replicas.now += timedelta(seconds=20)
        await replicas.send(1, upload, body(FILM[50_000:120_000]))
        raise UploadLostError("a part is missing")

    with monkeypatch.context() as slow:
        slow.setattr(replicas.parts[0], "open", misses)
        assert await refusal(replicas.send(0, upload, body(FILM[50_000:]), 50_000)) == "UPLOAD_LOCKED"
    await replicas.check(await replicas.send(1, upload, body(FILM[120_000:])))


async def test_a_late_end_leaves_the_video_of_another_request(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost its lease just after it was renewed, and the client has forgotten the upload since."""
    upload = await replicas.begin()
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def paused() -> AsyncIterator[bytes]:
        yield FILM[:100_000]
        has_begun.set()
        await goes_on.wait()
        yield FILM[100_000:]

    first = asyncio.create_task(replicas.send(0, upload, paused(), 0))
    await has_begun.wait()
    replicas.now += timedelta(seconds=20)
    await replicas.send(1, upload, body(FILM), 0)
    await replicas.all[1].terminate(upload.id, ANN)

    async def renews(_writer: object) -> None:
        pass

    monkeypatch.setattr(upload_writer.UploadWriter, "_renew", renews)
    goes_on.set()
    assert await refusal(first) in {"UPLOAD_LOCKED", "STREAM_FILE_UNAVAILABLE"}
    await replicas.check(upload)


async def test_an_upload_that_is_given_up_while_it_is_written_leaves_nothing(replicas: Replicas) -> None:
    upload = await replicas.begin()
    has_begun, goes_on = asyncio.Event(), asyncio.Event()

    async def paused() -> AsyncIterator[bytes]:
        yield FILM[:100_000]
        has_begun.set()
        await goes_on.wait()
        yield FILM[100_000:]

    writing = asyncio.create_task(replicas.send(0, upload, paused(), 0))
    await has_begun.wait()
    await replicas.all[1].terminate(upload.id, ANN)
    goes_on.set()
    assert await refusal(writing) == "CONTENT_NOT_FOUND"
    await replicas.check_nothing_left()
    assert not await replicas.store.has_folder(f"videos/{upload.video_id}")


@pytest.mark.parametrize("step", [len(FILM), 30_000])
async def test_an_end_that_was_interrupted_goes_on(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The file is at its place, and the process dies before the row says so."""
    upload = await replicas.begin()
    upload = await replicas.send(0, upload, body(FILM[:10_000]))

    async def killed(*_: object, **__: object) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(UploadRepository, "end", killed)
        with pytest.raises(asyncio.CancelledError):
            await replicas.send(0, upload, body(FILM[10_000:]))
    assert await replicas.store.read(source_reference(upload.video_id), len(FILM)) == FILM
    await Sweep(replicas.database, replicas.store).once(time.time() + 60)
    upload = await replicas.all[1].get(upload.id, ANN)
    while upload.received_bytes < len(FILM):
        start = upload.received_bytes
        upload = await replicas.send(1, upload, body(FILM[start : start + step]))
        assert upload.received_bytes > start
    await replicas.check(upload)


async def test_an_upload_that_is_given_up_leaves_nothing(replicas: Replicas) -> None:
    for size in (1000, 100_000):
        upload = await replicas.begin()
        await replicas.send(0, upload, body(FILM[:size]))
        await replicas.all[1].terminate(upload.id, ANN)
        await replicas.check_nothing_left()
        assert await refusal(replicas.send(0, upload, body(b""), size)) == "CONTENT_NOT_FOUND"


async def test_an_upload_that_expires_leaves_nothing(replicas: Replicas) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:100_000]))
    sweep = UploadSweep(replicas.database, replicas.parts[1], lambda: replicas.now)
    await Sweep(replicas.database, replicas.store).once(time.time() + 60)
    await sweep.remove_orphans(time.time() + 60)
    assert await sweep.once() == 0
    assert (await replicas.send(1, upload, body(FILM[100_000:110_000]))).received_bytes == 110_000
    replicas.now += EXPIRY
    assert await sweep.once() == 1
    await replicas.check_nothing_left()


async def test_what_has_no_row_is_removed(replicas: Replicas) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:100_000]))
    async with replicas.database.write() as transaction:
        await UploadRepository(transaction.session).remove(upload.id)
    sweep = UploadSweep(replicas.database, replicas.parts[1], lambda: replicas.now)
    await sweep.remove_orphans(time.time() - 3600)
    assert await replicas.parts[0].leftovers(time.time() + 60) == [upload.id]
    await sweep.remove_orphans(time.time() + 60)
    await Sweep(replicas.database, replicas.store).once(time.time() + 60)
    await replicas.check_nothing_left()


async def _lose_end(replicas: Replicas, upload: ResumableUpload) -> None:
    await replicas.store.remove(f"uploads/{upload.id}")


async def _lose_parts(replicas: Replicas, _upload: ResumableUpload) -> None:
    if isinstance(replicas.store, BucketStore):
        await replicas.store.clear_unfinished(time.time() + 60)
    else:
        await replicas.store.remove("uploads")


@pytest.mark.parametrize("lose", [_lose_end, _lose_parts], ids=["end", "parts"])
async def test_bytes_that_are_lost_end_the_upload(
    replicas: Replicas, lose: Callable[[Replicas, ResumableUpload], Awaitable[None]]
) -> None:
    upload = await replicas.begin()
    upload = await replicas.send(0, upload, body(FILM[:100_000]))
    await lose(replicas, upload)
    assert await refusal(replicas.send(1, upload, body(FILM[100_000:]))) == "CONTENT_NOT_FOUND"
    assert await refusal(replicas.all[0].get(upload.id, ANN)) == "CONTENT_NOT_FOUND"
    await replicas.check_nothing_left()


@pytest.mark.parametrize("store", ["bucket"], indirect=True)
async def test_a_part_that_is_lost_in_the_bucket_ends_the_upload(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = Bucket.complete_upload

    async def with_another_part(bucket: Bucket, key: str, upload_id: str, tags: list[str]) -> None:
        await complete(bucket, key, upload_id, [tags[0], *tags[:-1]])

    monkeypatch.setattr(Bucket, "complete_upload", with_another_part)
    upload = await replicas.begin()
    assert await refusal(replicas.send(0, upload, body(FILM))) == "CONTENT_NOT_FOUND"
    assert await refusal(replicas.all[1].get(upload.id, ANN)) == "CONTENT_NOT_FOUND"
    await replicas.check_nothing_left()


async def test_an_upload_of_another_store_is_lost(sqlite: Database, store: WritableStore, tmp_path: Path) -> None:
    """The operator has changed the store."""
    before = Replicas(sqlite, store, tmp_path / "media")
    upload = await before.begin()
    await before.send(0, upload, body(FILM[:100_000]))
    other = FolderStore(MediaStore(tmp_path / "other"))
    await other.prepare()
    after = Replicas(sqlite, other, tmp_path / "other")
    assert await refusal(after.send(0, upload, body(FILM[100_000:]))) == "CONTENT_NOT_FOUND"
    for each in (*before.all, *after.all):
        each.close()
