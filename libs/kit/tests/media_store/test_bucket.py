"""What a bucket does when its server or its network fails."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from typing import cast
from xml.etree.ElementTree import Element

import pytest

from kit.media_store import BucketStore
from kit.media_store.bucket import PART_BYTES as LEAST_PART_BYTES
from kit.media_store.bucket import part_bytes
from kit.origins import (
    OriginClient,
    OriginDeniedError,
    OriginError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
)
from kit.origins import bucket as module
from kit.origins.bucket import TRIES, Bucket
from kit.origins.errors import OriginFullError
from kit.origins.s3 import Endpoint
from kit.origins.s3_answers import UnfinishedUpload, error_of, parse_document, uploads_of
from kit.origins.sigv4 import Credentials
from kit.testing.s3_faults import Fault, FaultyClient, aborts, anything, completes, sends_part
from kit.testing.servers import WrittenS3Server, free_port
from kit.tests.media_store.conftest import PART_BYTES

LIMIT = 1 << 28
DATA = os.urandom(2 * PART_BYTES + 1000)
SOURCE = "videos/v1/source"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SEC", 0)


@pytest.fixture
def faulty(bucket: Bucket, client: OriginClient) -> FaultyClient:
    faulty = FaultyClient(client)
    bucket._client = cast("OriginClient", faulty)
    return faulty


async def write(store: BucketStore, data: bytes = DATA) -> None:
    async with store.writer(SOURCE, LIMIT) as writer:
        await writer.write(data)
        await writer.complete()


async def unfinished(bucket: Bucket) -> list[str]:
    return [upload.key async for upload in bucket.unfinished("")]


async def test_parts_are_of_one_size_and_say_their_checksums(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    await write(bucket_store)
    parts = [request for request in faulty.sent if sends_part(request)]
    assert [len(part.content) for part in parts] == [PART_BYTES, PART_BYTES, 1000]
    assert b"".join(part.content for part in parts) == DATA
    assert all("content-md5" in part.fields and "content-md5;" in part.fields["Authorization"] for part in parts)


async def test_a_small_file_is_one_request(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    await write(bucket_store, DATA[:PART_BYTES])
    assert [request.method for request in faulty.sent] == ["PUT"]


@pytest.mark.parametrize(
    "fault", [Fault(sends_part, status=503), Fault(sends_part, loses_answer=True)], ids=["status", "lost"]
)
async def test_a_part_that_fails_is_sent_again(bucket_store: BucketStore, faulty: FaultyClient, fault: Fault) -> None:
    faulty.faults.append(fault)
    await write(bucket_store)
    assert sum(map(sends_part, faulty.sent)) == 4
    assert await bucket_store.read(SOURCE, LIMIT) == DATA


async def test_bytes_that_were_damaged_on_their_way_are_sent_again(
    bucket_store: BucketStore, faulty: FaultyClient
) -> None:
    faulty.faults.append(Fault(anything, damages_body=True))
    await bucket_store.put(SOURCE, DATA)
    assert [request.method for request in faulty.sent] == ["PUT", "PUT"]
    assert await bucket_store.read(SOURCE, LIMIT) == DATA


async def test_a_damaged_part_is_no_part_of_a_file(
    bucket: Bucket, bucket_store: BucketStore, faulty: FaultyClient
) -> None:
    """rclone drops the upload then; others take the part when it comes again."""
    faulty.faults.append(Fault(sends_part, TRIES, damages_body=True))
    with pytest.raises(OriginError):
        await write(bucket_store)
    with pytest.raises(FileNotFoundError):
        await bucket_store.read(SOURCE, LIMIT)
    assert await unfinished(bucket) == []


async def test_a_lost_answer_to_the_end_is_found_out(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    faulty.faults.append(Fault(completes, loses_answer=True))
    await write(bucket_store)
    assert await bucket_store.read(SOURCE, LIMIT) == DATA


async def test_an_older_file_is_not_taken_for_the_new_one(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    await write(bucket_store, b"old")
    no_upload = b"<Error><Code>NoSuchUpload</Code></Error>"
    faulty.faults.append(Fault(completes, status=404, body=no_upload))
    with pytest.raises(OriginMissingError):
        await write(bucket_store)
    assert await bucket_store.read(SOURCE, LIMIT) == b"old"


async def test_an_error_behind_a_good_status_is_an_error(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    body = b"<?xml version='1.0'?>\n   <Error><Code>InternalError</Code></Error>"
    faulty.faults.append(Fault(completes, TRIES, status=200, body=body))
    with pytest.raises(OriginInterruptedError):
        await write(bucket_store)
    faulty.faults.append(Fault(completes, 1, status=200, body=body))
    await write(bucket_store)
    assert await bucket_store.read(SOURCE, LIMIT) == DATA


async def test_what_can_not_be_aborted_is_cleared_later(
    bucket: Bucket, bucket_store: BucketStore, faulty: FaultyClient
) -> None:
    faulty.faults.append(Fault(aborts, TRIES, status=500))
    async with bucket_store.writer(SOURCE, LIMIT) as writer:
        await writer.write(DATA)
    assert await unfinished(bucket) == ["marquee/media/videos/v1/source"]
    assert await bucket_store.clear_unfinished(time.time() + 3600) == [SOURCE]
    assert await unfinished(bucket) == []


async def test_uploads_outside_of_the_prefix_stay(bucket: Bucket, bucket_store: BucketStore) -> None:
    await bucket.begin_upload("marquee/media-of-another/videos/v1/source")
    assert await bucket_store.clear_unfinished(time.time() + 3600) == []
    assert len(await unfinished(bucket)) == 1


async def test_a_failure_that_stays_is_tried_a_few_times(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    faulty.faults.append(Fault(anything, 100, status=503))
    with pytest.raises(OriginInterruptedError):
        await bucket_store.verify()
    assert len(faulty.sent) == TRIES


async def test_what_is_forbidden_is_not_tried_again(bucket_store: BucketStore, faulty: FaultyClient) -> None:
    faulty.faults.append(Fault(anything, 100, status=403))
    with pytest.raises(OriginDeniedError):
        await bucket_store.verify()
    assert len(faulty.sent) == 1


async def test_a_server_that_is_away(client: OriginClient) -> None:
    store = BucketStore(Bucket(Endpoint.of(f"http://127.0.0.1:{free_port()}", None), "films", client), "")
    with pytest.raises(OriginInterruptedError):
        await store.verify()


async def test_a_bucket_that_is_missing(bucket: Bucket, client: OriginClient) -> None:
    store = BucketStore(Bucket(bucket._endpoint, "kit-no-such-bucket", client), "")
    for action in (store.prepare(), store.verify()):
        with pytest.raises(FileNotFoundError):
            await action


async def test_a_wrong_secret(written_s3_server: WrittenS3Server, bucket: Bucket, client: OriginClient) -> None:
    endpoint = Endpoint.of(written_s3_server.url, Credentials(written_s3_server.access_key_id, "wrong", "us-east-1"))
    with pytest.raises(OriginDeniedError):
        await BucketStore(Bucket(endpoint, bucket.name, client), "").prepare()


async def test_without_a_prefix_the_whole_bucket_is_the_store(bucket: Bucket) -> None:
    store = BucketStore(bucket, "")
    await store.put(SOURCE, b"x")
    assert [entry.key async for entry in bucket.objects("")] == [SOURCE]


async def test_a_listing_that_does_not_end_is_refused(bucket: Bucket, faulty: FaultyClient) -> None:
    page = b"<R><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></R>"
    faulty.faults.append(Fault(anything, 100, status=200, body=page))
    with pytest.raises(OriginUnusableError, match="again and again"):
        _ = [entry async for entry in bucket.objects("")]


async def test_names_of_listings_are_decoded(bucket: Bucket, faulty: FaultyClient) -> None:
    time_of_it = "<LastModified>2026-11-30T10:00:00.5Z</LastModified>"
    entry = f"<Contents><Key>a+b%2Bc%EC%98%81</Key><Size>1</Size>{time_of_it}</Contents>"
    page = f"<R xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><EncodingType>url</EncodingType>{entry}</R>"
    faulty.faults.append(Fault(anything, status=200, body=page.encode()))
    (found,) = [entry async for entry in bucket.objects("")]
    assert (found.key, found.modified) == ("a b+c영", 1_796_032_800.5)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", OriginMissingError),
        (404, "NoSuchUpload", OriginMissingError),
        (403, "AccessDenied", OriginDeniedError),
        (403, "QuotaExceeded", OriginFullError),
        (507, "XMinioStorageFull", OriginFullError),
        (400, "EntityTooLarge", OriginFullError),
        (400, "RequestTimeout", OriginInterruptedError),
        (400, "BadDigest", OriginInterruptedError),
        (400, "XAmzContentSHA256Mismatch", OriginInterruptedError),
        (503, "SlowDown", OriginInterruptedError),
        (429, "", OriginInterruptedError),
        (501, "NotImplemented", OriginUnusableError),
        (400, "InvalidPart", OriginMissingError),
        (400, "InvalidRequest", OriginUnusableError),
    ],
)
def test_errors_have_types(status: int, code: str, kind: type[OriginError]) -> None:
    error = error_of(status, f"<Error><Code>{code}</Code><Message>why</Message></Error>".encode())
    assert type(error) is kind
    assert "why" in str(error)
    assert (error.errno == errno.ENOSPC) is (kind is OriginFullError)


def test_an_error_without_a_document() -> None:
    assert type(error_of(404, b"")) is OriginMissingError
    assert type(error_of(502, b"<html>")) is OriginInterruptedError


@pytest.mark.parametrize("document", [b"", b"<a>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_documents_that_are_refused(document: bytes) -> None:
    with pytest.raises(OriginUnusableError):
        parse_document(document)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, LEAST_PART_BYTES), (1 << 30, LEAST_PART_BYTES), (100 << 30, 11 << 20), (5 << 40, 525 << 20)],
)
def test_no_file_has_more_parts_than_s3_takes(size: int, expected: int) -> None:
    assert part_bytes(size) == expected
    assert expected * 10_000 >= size


async def test_uploads_that_go_on_are_not_cleared(
    bucket_store: BucketStore, faulty: FaultyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that began long ago and got a part lately, and one that the caller keeps."""

    def as_begun_before(page: Element) -> list[UnfinishedUpload]:
        return [replace(each, begun=each.begun - 7200) for each in uploads_of(page)]

    monkeypatch.setattr(module, "uploads_of", as_begun_before)
    async with bucket_store.writer(SOURCE, LIMIT) as writer:
        await writer.write(DATA)
        assert await bucket_store.clear_unfinished(time.time() - 3600) == []
        assert await bucket_store.clear_unfinished(time.time() + 3600, {SOURCE}) == []
        await writer.complete()
    assert await bucket_store.read(SOURCE, LIMIT) == DATA
    assert not any(map(aborts, faulty.sent))


async def test_all_parts_of_an_upload_are_asked_for(bucket: Bucket) -> None:
    """A page has three."""
    upload_id = await bucket.begin_upload("films/a")
    assert not await bucket.has_part_since("films/a", upload_id, 0)
    for number in range(1, 6):
        await bucket.put_part("films/a", upload_id, number, DATA[:PART_BYTES])
    assert await bucket.has_part_since("films/a", upload_id, time.time() - 60)
    assert not await bucket.has_part_since("films/a", upload_id, time.time() + 60)
    await bucket.abort_upload("films/a", upload_id)
    assert not await bucket.has_part_since("films/a", upload_id, 0)


async def test_an_object_is_read_in_blocks(bucket: Bucket) -> None:
    await bucket.put("films/a b", DATA)
    file = await bucket.open("films/a b")
    assert file.info.size == len(DATA)
    assert b"".join([block async for block in file.blocks(0, len(DATA))]) == DATA
