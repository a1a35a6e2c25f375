"""A bucket that is written: whole objects, multipart uploads, listings and removal (Amazon S3 API reference).

Each body is sent with `Content-MD5` and with its SHA-256 in the signature, so a server that received other bytes
refuses them. What may be repeated safely is tried `TRIES` times.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from kit.origins.client import OriginClient, OriginRequest, OriginResponse
from kit.origins.errors import OriginInterruptedError, OriginMissingError, OriginUnusableError
from kit.origins.references import Object, Url
from kit.origins.remote import RemoteFile
from kit.origins.s3 import Endpoint, ObjectReader
from kit.origins.s3_answers import (
    ObjectEntry,
    UnfinishedUpload,
    error_of,
    is_truncated,
    objects_of,
    parse_document,
    part_times_of,
    uploads_of,
)
from kit.origins.sigv4 import encode_query, sign

TRIES: Final = 4
"""Attempts at one request."""
PAUSE_SEC: Final = 0.2
"""Before the second attempt; doubled each time."""
MAX_DELETED: Final = 1000
"""Objects that one DeleteObjects takes."""
MAX_PARTS: Final = 10_000
"""Parts of one object."""
_MAX_ANSWER_BYTES: Final = 8 * 2**20
"""Of an XML document: a page of a listing has at most 1000 keys of 1024 bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of success."""

    fields: Mapping[str, str]
    """Header fields by lower-case name."""
    data: bytes


class Bucket:
    """The objects of one bucket. All methods raise `OriginError`; the subclass tells why.

    Args:
        endpoint: the server.
        name: of the bucket.
        client: sends the requests.
        page_size: entries of one page of a listing.
        now: the current time, for signatures.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        client: OriginClient,
        *,
        page_size: int = 1000,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._client = client
        self._page_size = page_size
        self._now = now

    async def put(self, key: str, data: bytes | bytearray, fields: Mapping[str, str] | None = None) -> None:
        """Store a whole object, in place of an older one; it is there completely or not at all.

        Args:
            key: of the object.
            data: its bytes.
            fields: further header fields, by lower-case name.
        """
        await self._send("PUT", key, content=data, fields=fields)

    async def get(self, key: str, max_bytes: int) -> bytes:
        """Return the bytes of an object. Raises OriginUnusableError, too, for one of more than `max_bytes`."""
        return (await self._send("GET", key, max_answer_bytes=max_bytes)).data

    async def open(self, key: str) -> RemoteFile:
        """Open an object in its present state, to be read in blocks. Raises OriginUnusableError for an empty one."""
        reader = ObjectReader(self._endpoint, self._client, self._now)
        return await RemoteFile.open(partial(reader.get, Object(self.name, key)))

    async def head(self, key: str) -> Mapping[str, str]:
        """Return the header fields of an object."""
        return (await self._send("HEAD", key)).fields

    async def begin_upload(self, key: str, fields: Mapping[str, str] | None = None) -> str:
        """Begin a multipart upload; return its id.

        An attempt whose answer is lost leaves an upload without parts, which is found by `unfinished`.
        """
        answer = await self._send("POST", key, {"uploads": ""}, fields=fields)
        upload_id = parse_document(answer.data).findtext("UploadId", "")
        if not upload_id:
            raise OriginUnusableError("the S3 server begins an upload without an id")
        return upload_id

    async def put_part(self, key: str, upload_id: str, number: int, data: bytes | bytearray) -> str:
        """Send a part of a multipart upload; return its entity tag.

        Args:
            key: of the object.
            upload_id: of the upload.
            number: of the part, from 1.
            data: its bytes: 5 MiB at least, unless it is the last part.
        """
        query = {"partNumber": str(number), "uploadId": upload_id}
        answer = await self._send("PUT", key, query, content=data)
        if not (tag := answer.fields.get("etag", "")):
            raise OriginUnusableError("the S3 server stores a part without an entity tag")
        return tag

    async def complete_upload(self, key: str, upload_id: str, tags: Sequence[str]) -> None:
        """Make an object of the parts with these entity tags, in place of an older one.

        Raises:
            OriginMissingError: there is no such upload: an attempt whose answer was lost may have completed it.
                Or a part is missing.
        """
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        await self._send("POST", key, {"uploadId": upload_id}, content=document)

    async def has_part_since(self, key: str, upload_id: str, since: float) -> bool:
        """Return whether a multipart upload got a part at or after `since`, in seconds since 1970."""
        query = {"uploadId": upload_id, "max-parts": str(self._page_size)}
        marker = ""
        while True:
            try:
                page = parse_document((await self._send("GET", key, query)).data)
            except OriginMissingError:
                return False
            if any(moment >= since for moment in part_times_of(page)):
                return True
            if not is_truncated(page):
                return False
            former, marker = marker, page.findtext("NextPartNumberMarker", "")
            if marker in {"", former}:
                raise OriginUnusableError("the S3 server lists one page again and again")
            query["part-number-marker"] = marker

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Drop a multipart upload and its parts, if it is there."""
        try:
            await self._send("DELETE", key, {"uploadId": upload_id})
        except OriginMissingError:
            return

    async def objects(self, prefix: str, limit: int | None = None) -> AsyncIterator[ObjectEntry]:
        """Yield the objects whose keys begin with `prefix`: one page of at most `limit`, or all."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url", "max-keys": str(limit or self._page_size)}
        token = ""
        while True:
            page = parse_document((await self._send("GET", "", query)).data)
            for entry in objects_of(page):
                yield entry
            if limit is not None or not is_truncated(page):
                return
            former, token = token, page.findtext("NextContinuationToken", "")
            if token in {"", former}:
                raise OriginUnusableError("the S3 server lists one page again and again")
            query["continuation-token"] = token

    async def unfinished(self, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        """Yield the multipart uploads whose keys begin with `prefix`; none in a bucket that is missing."""
        query = {"uploads": "", "prefix": prefix, "encoding-type": "url", "max-uploads": str(self._page_size)}
        marker = ("", "")
        while True:
            try:
                page = parse_document((await self._send("GET", "", query)).data)
            except OriginMissingError:
                # Some servers (rclone's) answer NoSuchUpload where there is none.
                return
            for upload in uploads_of(page):
                yield upload
            if not is_truncated(page):
                return
            former, marker = marker, (page.findtext("NextKeyMarker", ""), page.findtext("NextUploadIdMarker", ""))
            if marker == former or not marker[0]:
                raise OriginUnusableError("the S3 server lists one page again and again")
            query |= {"key-marker": marker[0], "upload-id-marker": marker[1]}

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, if they are there: `MAX_DELETED` at most."""
        entries = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        document = f"<Delete><Quiet>true</Quiet>{entries}</Delete>".encode()
        answer = await self._send("POST", "", {"delete": ""}, content=document)
        failures = parse_document(answer.data).findall("Error") if answer.data.strip() else []
        for failure in failures:
            if failure.findtext("Code") != "NoSuchKey":
                raise OriginUnusableError(f"an object could not be removed: {failure.findtext('Code')}")

    async def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        *,
        content: bytes | bytearray = b"",
        fields: Mapping[str, str] | None = None,
        max_answer_bytes: int = _MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send a request, again after a failure that may pass; return the answer of success."""
        extra = dict(fields or {})
        payload_sha256, md5 = await asyncio.to_thread(_hash, content)
        if content:
            extra["content-md5"] = md5
        for attempt in range(1, TRIES + 1):
            try:
                return await self._send_once(
                    method, key, encode_query(query or {}), content, extra, payload_sha256, max_answer_bytes
                )
            except OriginInterruptedError:
                if attempt == TRIES:
                    raise
            # Replicas that failed together do not come back together.
            await asyncio.sleep(PAUSE_SEC * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("unreachable")

    async def _send_once(
        self,
        method: str,
        key: str,
        query: str,
        content: bytes | bytearray,
        fields: Mapping[str, str],
        payload_sha256: str,
        max_answer_bytes: int,
    ) -> Answer:
        url = self._endpoint.locate(Object(self.name, key))
        credentials = self._endpoint.credentials
        signed: Mapping[str, str] = {}
        if credentials is not None:
            signed = sign(
                credentials,
                method,
                url.authority,
                url.target,
                self._now(),
                query=query,
                payload_sha256=payload_sha256,
                fields=fields,
            )
        target = f"{url.target}?{query}" if query else url.target
        request = OriginRequest(method, Url(url.scheme, url.host, url.port, target), {**fields, **signed}, content)
        async with self._client.send(request) as answer:
            is_success = answer.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}
            data = await _read(answer, max_answer_bytes if is_success else _MAX_ANSWER_BYTES)
        # CompleteMultipartUpload keeps the connection alive by a status of 200, which an error may follow.
        if not is_success or (method == "POST" and b"<Error>" in data and b"<DeleteResult" not in data):
            raise error_of(HTTPStatus.INTERNAL_SERVER_ERROR if is_success else answer.status, data)
        return Answer(answer.fields, data)


def _hash(content: bytes | bytearray) -> tuple[str, str]:
    """Return SHA-256 in hexadecimal, and the value of `Content-MD5` (RFC 1864)."""
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    return hashlib.sha256(content).hexdigest(), base64.b64encode(md5).decode()


async def _read(answer: OriginResponse, max_bytes: int) -> bytes:
    data = bytearray()
    async for block in answer.body:
        data += block
        if len(data) > max_bytes:
            raise OriginUnusableError(f"the S3 server sends more than {max_bytes} bytes")
    return bytes(data)
