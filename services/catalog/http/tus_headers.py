"""Header fields of tus 1.0.0: read from requests, written to responses."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from starlette.datastructures import Headers

from kit.errors import ApiError, ErrorCode, invalid_field
from services.catalog.service import Checksum

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration"
ALGORITHMS: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "md5": hashlib.md5}
CHUNK_TYPE: Final = "application/offset+octet-stream"
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_KEY: Final = re.compile(r"[!-+\--~]+")
_FILM_TYPE: Final = re.compile(r"video/.+|application/(octet-stream|mp4|mxf|x-matroska|vnd\..+)", re.IGNORECASE)


def check_version(headers: Headers) -> None:
    """Raise ApiError: UPLOAD_VERSION_UNSUPPORTED unless the client speaks this version."""
    if headers.get("Tus-Resumable") != VERSION:
        raise ApiError(ErrorCode.UPLOAD_VERSION_UNSUPPORTED, headers={"Tus-Version": VERSION})


def is_chunk(headers: Headers) -> bool:
    """Return whether the body of a request is a part of the file."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == CHUNK_TYPE


def read_number(headers: Headers, name: str) -> int | None:
    """Return a number of bytes; None without the field. Raises ApiError: VALIDATION_FAILED."""
    value = headers.get(name)
    if value is None:
        return None
    if not _DIGITS.fullmatch(value):
        raise invalid_field(name, "must be a number of bytes")
    return int(value)


def read_new_length(headers: Headers) -> int | None:
    """Return the length of a new upload; None when it is deferred. Raises ApiError: VALIDATION_FAILED."""
    length = read_number(headers, "Upload-Length")
    deferred = headers.get("Upload-Defer-Length")
    if deferred not in (None, "1"):
        raise invalid_field("Upload-Defer-Length", "must be 1")
    if (length is None) == (deferred is None):
        raise invalid_field("Upload-Length", "send either Upload-Length or Upload-Defer-Length: 1")
    return length


def read_metadata(headers: Headers) -> dict[str, str]:
    """Return `Upload-Metadata`, decoded. Raises ApiError: VALIDATION_FAILED."""
    metadata: dict[str, str] = {}
    for pair in headers.get("Upload-Metadata", "").split(","):
        if not pair.strip():
            continue
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in metadata:
            raise invalid_field("Upload-Metadata", "has a key that is no plain text, or has it twice")
        try:
            metadata[key] = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as error:
            raise invalid_field("Upload-Metadata", f"{key[:50]} is not in Base64") from error
    return metadata


def check_type(metadata: Mapping[str, str]) -> None:
    """Raise ApiError: UPLOAD_INVALID_MEDIA when the client itself says that the file is no video."""
    declared = metadata.get("filetype", "")
    if declared and not _FILM_TYPE.fullmatch(declared):
        raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, f"{declared[:100]} is no video.")


def read_checksum(headers: Headers) -> Checksum | None:
    """Return what the body must hash to; None without the field. Raises ApiError: VALIDATION_FAILED."""
    value = headers.get("Upload-Checksum")
    if value is None:
        return None
    name, _, encoded = value.partition(" ")
    make = ALGORITHMS.get(name)
    if make is None:
        raise invalid_field("Upload-Checksum", f"must be one of {', '.join(ALGORITHMS)}")
    hasher = make(usedforsecurity=False)
    try:
        expected = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_field("Upload-Checksum", "is not in Base64") from error
    if len(expected) != hasher.digest_size:
        raise invalid_field("Upload-Checksum", f"is no hash of {name}")
    return Checksum(hasher, expected)


def expires(moment: datetime) -> str:
    """Return the value of `Upload-Expires` (RFC 9110, 5.6.7)."""
    return format_datetime(moment, usegmt=True)
