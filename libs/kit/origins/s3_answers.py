"""Read what an S3 server answers: XML documents and errors (Amazon S3 API reference)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from kit.origins.errors import (
    OriginDeniedError,
    OriginError,
    OriginFullError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
)

_MISSING: Final = frozenset(
    # InvalidPart: a part that was sent is not there any more, or is another one.
    {"InvalidPart", "NoSuchBucket", "NoSuchKey", "NoSuchUpload"}
)
_FULL: Final = frozenset(
    # The last ones are Ceph's and MinIO's.
    {"EntityTooLarge", "InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}
)
_TRANSIENT: Final = frozenset(
    # The body was damaged on its way, or the server asks to come again.
    {
        "BadDigest",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "XAmzContentSHA256Mismatch",
    }
)
_MAX_REASON_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """An object of a listing."""

    key: str
    size: int
    modified: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    begun: float
    """Seconds since 1970."""


def parse_document(data: bytes) -> ET.Element:
    """Parse an XML document; namespaces are removed, as servers disagree about them.

    Raises:
        OriginUnusableError: it is malformed, or declares entities, which could expand without bound.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise OriginUnusableError("the S3 server sends a document with a type declaration")
    try:
        root = ET.fromstring(data)  # noqa: S314 - bounded, and without entities
    except ET.ParseError as error:
        raise OriginUnusableError("the S3 server sends a malformed document") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def error_of(status: int, data: bytes) -> OriginError:
    """Return the error that an answer stands for.

    Args:
        status: of the answer.
        data: its body, which names an error code; answers to HEAD have none.
    """
    code = message = ""
    try:
        document = parse_document(data)
        code, message = document.findtext("Code", ""), document.findtext("Message", "")
    except OriginUnusableError:
        pass
    reason = f"the S3 server answers {status} {code} {message}".strip()[:_MAX_REASON_CHARS]
    if code in _FULL or status == HTTPStatus.INSUFFICIENT_STORAGE:
        return OriginFullError(reason)
    if code in _MISSING or status == HTTPStatus.NOT_FOUND:
        return OriginMissingError(reason)
    if (
        code in _TRANSIENT
        or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED)
        or status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT}
    ):
        return OriginInterruptedError(reason)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return OriginDeniedError(reason)
    return OriginUnusableError(reason)


def objects_of(document: ET.Element) -> Iterator[ObjectEntry]:
    """Yield the objects of a page of ListObjectsV2. Raises OriginUnusableError."""
    for each in document.iterfind("Contents"):
        size = each.findtext("Size", "")
        if not size.isdecimal():
            raise OriginUnusableError("the S3 server lists an object without a size")
        yield ObjectEntry(_key(document, each), int(size), _time(each.findtext("LastModified", "")))


def uploads_of(document: ET.Element) -> Iterator[UnfinishedUpload]:
    """Yield the uploads of a page of ListMultipartUploads. Raises OriginUnusableError."""
    for each in document.iterfind("Upload"):
        begun = _time(each.findtext("Initiated", ""))
        yield UnfinishedUpload(_key(document, each), each.findtext("UploadId", ""), begun)


def part_times_of(document: ET.Element) -> Iterator[float]:
    """Yield when the parts of a page of ListParts were sent, in seconds since 1970. Raises OriginUnusableError."""
    for each in document.iterfind("Part"):
        yield _time(each.findtext("LastModified", ""))


def is_truncated(document: ET.Element) -> bool:
    """Return whether a listing has another page."""
    return document.findtext("IsTruncated", "").strip().lower() == "true"


def _key(document: ET.Element, entry: ET.Element) -> str:
    key = entry.findtext("Key", "")
    return unquote_plus(key) if document.findtext("EncodingType") == "url" else key


def _time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OriginUnusableError("the S3 server sends a malformed time") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
