"""Two replicas, any order of parts, cuts, crashes and pauses: the bytes are right, and the video is one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError
from kit.ids import new_id
from kit.media import MediaStore
from kit.media_store import BucketStore, FolderStore
from kit.origins import OriginClient
from kit.testing.buckets import make_bucket
from kit.testing.servers import WrittenS3Server
from services.catalog.models import Asset, ResumableUpload
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
)
from services.catalog.service.upload_writer import LEASE
from services.catalog.uploads.bucket_parts import BucketParts
from services.catalog.uploads.folder_parts import FolderParts
from services.catalog.uploads.part_store import PartStore
from services.catalog.uploads.repository import Lease, UploadRepository

T = TypeVar("T")
FILM = bytes(hashlib.sha256(b"%d" % number).digest()[0] for number in range(4096))
PART_BYTES = 1000
"""Of the parts in a bucket, so that the film has several."""
EXPIRY = timedelta(hours=1)
ANN = Caller("ann", "admin", "active")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def body(content: bytes, *, cut: bool = False) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 700):
        yield content[start : start + 700]
    if cut:
        raise UploadCutError


class Uploading(RuleBasedStateMachine):
    """The model is one number, the offset, and whether a dead writer holds the lease.

    Args:
        url: of a migrated database.
        folder: for the files.
        server: has the bucket; None to keep the files in the folder.
    """

    def __init__(self, url: str, folder: Path, server: WrittenS3Server | None) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.clock = Clock()
        self.database = Database(url)
        self.client = OriginClient(None, 60)
        self.store: FolderStore | BucketStore = FolderStore(MediaStore(folder))
        if server is not None:
            self.store = BucketStore(self.run(make_bucket(server, self.client)), "marquee", PART_BYTES)
        self.run(self.store.prepare())
        admission = Admission(self.database, self.store, Limits(1 << 30, 0), self.clock)
        self.parts: list[PartStore] = [
            FolderParts(MediaStore(folder)) if isinstance(self.store, FolderStore) else BucketParts(self.store)
            for _ in range(2)
        ]
        self.replicas = [
            ResumableUploads(self.database, parts, admission, duplicates="allow", expiry=EXPIRY, clock=self.clock)
            for parts in self.parts
        ]
        self.offset = 0
        self.is_locked = False
        self.is_over = False

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.database.close())
        self.run(self.client.close())
        for replica in self.replicas:
            replica.close()
        self._runner.close()

    @initialize(is_deferred=st.booleans())
    def create(self, is_deferred: bool) -> None:
        self.is_deferred = is_deferred
        new = NewUpload(None if is_deferred else len(FILM), "Film", "", [], None, "")
        self.upload = self.run(self.replicas[0].create(new, ANN))

    def append(self, replica: int, chunk: Chunk, content: AsyncIterator[bytes]) -> str:
        """Send a part; return the error code, or an empty text."""
        try:
            upload = self.run(self.replicas[replica].append(self.upload.id, ANN, chunk, content))
        except ApiError as error:
            return str(error.code)
        assert upload.received_bytes == self.offset
        return ""

    @precondition(lambda self: not self.is_over)
    @rule(replica=st.sampled_from([0, 1]), count=st.integers(0, 2500), is_cut=st.booleans(), has_sum=st.booleans())
    def send_part(self, replica: int, count: int, is_cut: bool, has_sum: bool) -> None:
        part = FILM[self.offset : self.offset + count]
        checksum = Checksum(hashlib.sha256(), hashlib.sha256(part).digest()) if has_sum else None
        declared = len(FILM) if self.is_deferred and count % 2 else None
        chunk = Chunk(self.offset, length=declared, checksum=checksum)
        before = self.offset
        if not self.is_locked and not (is_cut and has_sum):
            self.offset += len(part)
            if declared:
                self.is_deferred = False
        code = self.append(replica, chunk, body(part, cut=is_cut))
        if self.is_locked:
            assert code == "UPLOAD_LOCKED"
            return
        assert code == ""
        if declared and before == self.offset and self.offset < len(FILM):
            # An empty part may declare the length as well.
            self.is_deferred = self.current().length_bytes is None
        self.is_over = self.offset == len(FILM) and not self.is_deferred and self.current().status == "finished"

    @precondition(lambda self: not self.is_over and not self.is_locked)
    @rule(replica=st.sampled_from([0, 1]), wrong=st.integers(0, len(FILM)))
    def send_at_wrong_offset(self, replica: int, wrong: int) -> None:
        if wrong != self.offset:
            assert self.append(replica, Chunk(wrong), body(b"x" * 10)) == "UPLOAD_CONFLICT"

    @precondition(lambda self: not self.is_over and not self.is_locked and self.offset < len(FILM))
    @rule(replica=st.sampled_from([0, 1]))
    def send_with_wrong_checksum(self, replica: int) -> None:
        wrong = Checksum(hashlib.md5(usedforsecurity=False), base64.b64decode("AAAAAAAAAAAAAAAAAAAAAA=="))
        assert self.append(replica, Chunk(self.offset, checksum=wrong), body(b"x")) == "UPLOAD_CHECKSUM_MISMATCH"

    @precondition(lambda self: not self.is_over and not self.is_locked)
    @rule(garbage=st.binary(max_size=5000))
    def crash_while_writing(self, garbage: bytes) -> None:
        """A replica takes the lease, writes, and is killed before it confirms."""
        if isinstance(self.store, BucketStore):
            # The server (rclone) lets no part of other bytes take the place of one.
            garbage = FILM[self.offset : self.offset + len(garbage)]
        self.run(self._crash(garbage, is_ending=False))
        self.is_locked = True

    @precondition(lambda self: not self.is_over and not self.is_locked and not self.is_deferred)
    @rule()
    def crash_while_ending(self) -> None:
        """A replica is killed when the file is at its place, before the transaction."""
        self.run(self._crash(FILM[self.offset :], is_ending=True))
        self.is_locked = True

    async def _crash(self, data: bytes, *, is_ending: bool) -> None:
        lease = Lease(self.upload.id, new_id(), self.clock() + LEASE)
        async with self.database.write() as transaction:
            uploads = UploadRepository(transaction.session)
            assert await uploads.acquire(lease, self.offset, self.clock())
            row, tags = await uploads.get(self.upload.id), await uploads.tags(self.upload.id)
        assert row is not None

        async def claim(store_upload_id: str, part_bytes: int) -> None:
            async with self.database.write() as transaction:
                assert await UploadRepository(transaction.session).claim(lease, store_upload_id, part_bytes)

        upload = await self.parts[0].open(row, tags, len(FILM), None, claim)
        await upload.write([data])
        if is_ending:
            assert await upload.finish() == hashlib.sha256(FILM).hexdigest()
        upload.close()

    @rule(seconds=st.sampled_from([1, 20]))
    def wait(self, seconds: int) -> None:
        self.clock.now += timedelta(seconds=seconds)
        if seconds > LEASE.total_seconds():
            self.is_locked = False

    @rule()
    def sweep(self) -> None:
        self.run(UploadSweep(self.database, self.parts[1], self.clock).once())
        self.run(Sweep(self.database, self.store).once(time.time() + 60))

    def current(self) -> ResumableUpload:
        upload: ResumableUpload = self.run(self.replicas[1].get(self.upload.id, ANN))
        return upload

    @invariant()
    def offset_and_bytes_are_right(self) -> None:
        if not hasattr(self, "upload"):
            return
        upload = self.current()
        assert upload.received_bytes == self.offset

        async def hashes() -> list[str | None]:
            async with self.database.read() as session:
                return list(await session.scalars(select(Asset.sha256).where(Asset.video_id == upload.video_id)))

        is_finished = upload.status == "finished"
        assert self.run(hashes()) == ([hashlib.sha256(FILM).hexdigest()] if is_finished else [])
        if is_finished:
            assert self.run(self.store.read(f"videos/{upload.video_id}/source", len(FILM))) == FILM


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_any_order_of_parts_cuts_and_crashes(
    database_url: str, tmp_path: Path, written_s3_server: WrittenS3Server, kind: str
) -> None:
    server = written_s3_server if kind == "bucket" else None
    run_state_machine_as_test(
        lambda: Uploading(database_url, tmp_path / "media", server),  # type: ignore[arg-type]  # a factory will do
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


async def test_an_abandoned_upload_is_swept(database_url: str, tmp_path: Path) -> None:
    clock, database, store = Clock(), Database(database_url), MediaStore(tmp_path)
    store.prepare()
    parts = FolderParts(store)
    uploads = ResumableUploads(
        database,
        parts,
        Admission(database, FolderStore(store), Limits(1 << 30, 0), clock),
        duplicates="allow",
        expiry=EXPIRY,
        clock=clock,
    )
    sweep = UploadSweep(database, parts, clock)
    left, alive = [await uploads.create(NewUpload(50, "Film", "", [], None, ""), ANN) for _ in range(2)]
    await uploads.append(left.id, ANN, Chunk(0), body(b"a" * 10))
    clock.now += EXPIRY / 2
    alive = await uploads.append(alive.id, ANN, Chunk(0), body(b"a" * 10))
    # Bytes put the end off.
    assert alive.expires_at == clock.now + EXPIRY
    clock.now += EXPIRY / 2
    assert await sweep.once() == 1
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [alive.id]
    (tmp_path / "uploads" / new_id()).write_bytes(b"of no upload")
    await sweep.remove_orphans(clock.now.timestamp() + 1e6)
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [alive.id]
    uploads.close()
    await database.close()
