"""Resumable uploads to a bucket whose server or network fails."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from kit.db.database import Database
from kit.media_store import BucketStore
from kit.origins import Bucket, OriginClient
from kit.origins import bucket as bucket_module
from kit.origins.bucket import TRIES
from kit.origins.client import OriginRequest
from kit.testing.s3_faults import Fault, FaultyClient, Match, aborts, completes, sends_part
from services.catalog.tests.conftest import PART_BYTES
from services.catalog.tests.integration.test_part_stores import ANN, FILM, Replicas, body, refusal

FULL = b"<Error><Code>QuotaExceeded</Code></Error>"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "PAUSE_SEC", 0)


@pytest.fixture
def faulty(bucket: Bucket, s3_client: OriginClient) -> FaultyClient:
    faulty = FaultyClient(s3_client)
    bucket._client = cast("OriginClient", faulty)
    return faulty


@pytest.fixture
async def replicas(sqlite: Database, bucket: Bucket, tmp_path: Path) -> AsyncIterator[Replicas]:
    replicas = Replicas(sqlite, BucketStore(bucket, "marquee", PART_BYTES), tmp_path)
    yield replicas
    for each in replicas.all:
        each.close()


def reads(request: OriginRequest) -> bool:
    return request.method == "GET" and request.url.target.endswith("/source")


async def test_each_byte_is_sent_once(replicas: Replicas, faulty: FaultyClient) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:100_000]))
    await replicas.send(0, upload, body(FILM[100_000:]))
    parts = [request.content for request in faulty.sent if sends_part(request)]
    assert [len(part) for part in parts] == [PART_BYTES] * 3 + [1000]
    assert b"".join(parts) == FILM
    assert not any(map(reads, faulty.sent)), "one replica has seen all bytes"
    await replicas.check(upload)


async def test_a_file_that_two_replicas_received_is_read_once(replicas: Replicas, faulty: FaultyClient) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:100_000]))
    await replicas.send(1, upload, body(FILM[100_000:]))
    assert [request.fields["Range"] for request in faulty.sent if reads(request)] == [
        "bytes=0-0",
        f"bytes=0-{len(FILM) - 1}",
    ]
    await replicas.check(upload)


@pytest.mark.parametrize("fault", [sends_part, completes])
async def test_a_lost_answer_is_found_out(replicas: Replicas, faulty: FaultyClient, fault: Match) -> None:
    faulty.faults.append(Fault(fault, loses_answer=True))
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM))
    await replicas.check(upload)


@pytest.mark.parametrize("loses_answer", [False, True])
async def test_an_end_that_fails_is_sent_again(replicas: Replicas, faulty: FaultyClient, *, loses_answer: bool) -> None:
    faults = [Fault(completes, loses_answer=True)] if loses_answer else []
    faulty.faults += [*faults, Fault(completes, TRIES - len(faults), status=503)]
    upload = await replicas.begin()
    assert await refusal(replicas.send(0, upload, body(FILM))) == "STREAM_FILE_UNAVAILABLE"
    upload = await replicas.all[1].get(upload.id, ANN)
    await replicas.check(await replicas.send(1, upload, body(FILM[upload.received_bytes :])))


async def test_a_server_that_is_away_loses_nothing(replicas: Replicas, faulty: FaultyClient) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:1000]))
    faulty.faults.append(Fault(sends_part, TRIES, status=503))
    assert await refusal(replicas.send(0, upload, body(FILM[1000:]))) == "STREAM_FILE_UNAVAILABLE"
    upload = await replicas.all[0].get(upload.id, ANN)
    assert upload.received_bytes == 1000
    await replicas.check(await replicas.send(0, upload, body(FILM[1000:])))


async def test_a_bucket_that_is_full_leaves_nothing(replicas: Replicas, faulty: FaultyClient) -> None:
    upload = await replicas.begin()
    await replicas.send(0, upload, body(FILM[:100_000]))
    faulty.faults.append(Fault(sends_part, status=403, body=FULL))
    assert await refusal(replicas.send(0, upload, body(FILM[100_000:]))) == "STORAGE_FULL"
    assert any(map(aborts, faulty.sent))
    await replicas.check_nothing_left()


async def test_small_requests_leave_one_object_of_the_rest(replicas: Replicas, bucket: Bucket) -> None:
    upload = await replicas.begin()
    for start in range(0, 2 * PART_BYTES, 10_000):
        upload = await replicas.send(0, upload, body(FILM[start : start + 10_000]))
        left = [entry.key async for entry in bucket.objects("marquee/uploads/")]
        assert len(left) == (1 if upload.received_bytes % PART_BYTES else 0)
    await replicas.check(await replicas.send(0, upload, body(FILM[upload.received_bytes :])))


async def test_another_object_at_the_key_is_not_taken_for_the_upload(
    replicas: Replicas, bucket: Bucket, faulty: FaultyClient
) -> None:
    """A multipart upload that a rule of the bucket has aborted."""
    upload = await replicas.begin()
    upload = await replicas.send(0, upload, body(FILM[:100_000]))
    key = f"marquee/videos/{upload.video_id}/source"
    [unfinished] = [each async for each in bucket.unfinished("")]
    await bucket.abort_upload(key, unfinished.upload_id)
    await bucket.put(key, os.urandom(len(FILM)))
    assert await refusal(replicas.send(0, upload, body(FILM[100_000:]))) == "CONTENT_NOT_FOUND"
    await replicas.check_nothing_left()
