"""AWS Signature Version 4 for S3, in headers and in presigned addresses.

After the *AWS Signature Version 4* chapters of the Amazon S3 API reference ("Authenticating requests"). Tests compare
it with botocore's signer, and with a server that checks signatures.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
EMPTY_SHA256: Final = sha256(b"").hexdigest()
MAX_EXPIRES_SEC: Final = 7 * 86400
"""Longest life of a presigned URL, in seconds."""
_UNRESERVED: Final = "-._~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, and the region of its signatures."""

    access_key_id: str
    secret_access_key: str
    region: str

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id!r}, region={self.region!r})"


def encode_key(key: str) -> str:
    """Encode an object's key as part of a path: each byte but unreserved characters and slashes."""
    return quote(key, safe=f"/{_UNRESERVED}")


def encode_query(query: Mapping[str, str]) -> str:
    """Encode a query in its canonical form, which is signed and must be sent."""
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def sign(
    credentials: Credentials,
    method: str,
    authority: str,
    path: str,
    now: datetime,
    *,
    query: str = "",
    payload_sha256: str = EMPTY_SHA256,
    fields: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the header fields that sign a request.

    Args:
        credentials: the signing key.
        method: of the request.
        authority: the value of its `Host` field.
        path: its path, encoded by `encode_key`.
        now: the time, in UTC.
        query: its query, encoded by `encode_query`.
        payload_sha256: SHA-256 of its body, in hexadecimal; the server compares it with what it receives.
        fields: further header fields to sign, by lower-case name; they are not returned.
    """
    stamp = _stamp(now)
    added = {"x-amz-content-sha256": payload_sha256, "x-amz-date": stamp}
    signed = dict(sorted({"host": authority, **(fields or {}), **added}.items()))
    names = ";".join(signed)
    signature = _signature(credentials, stamp, _canonical(method, path, query, signed, names, payload_sha256))
    scope = _scope(credentials, stamp)
    return {
        **added,
        "Authorization": (
            f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        ),
    }


def presign(
    credentials: Credentials,
    authority: str,
    path: str,
    now: datetime,
    *,
    expires_sec: int,
    query: Mapping[str, str],
) -> str:
    """Return a query that permits its holder to GET an object until it expires.

    Args:
        credentials: the signing key.
        authority: the `Host` of the request.
        path: its path, encoded by `encode_key`.
        now: the time, in UTC.
        expires_sec: seconds until it expires.
        query: more of the query, such as `response-content-type`.
    """
    stamp = _stamp(now)
    signed = {
        **query,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{_scope(credentials, stamp)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_sec),
        "X-Amz-SignedHeaders": "host",
    }
    text = encode_query(signed)
    canonical = _canonical("GET", path, text, {"host": authority}, "host", UNSIGNED_PAYLOAD)
    return f"{text}&X-Amz-Signature={_signature(credentials, stamp, canonical)}"


def _stamp(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%SZ")


def _scope(credentials: Credentials, stamp: str) -> str:
    return f"{stamp[:8]}/{credentials.region}/s3/aws4_request"


def _canonical(method: str, path: str, query: str, fields: Mapping[str, str], names: str, payload: str) -> str:
    headers = "".join(f"{name}:{value}\n" for name, value in fields.items())
    return f"{method}\n{path}\n{query}\n{headers}\n{names}\n{payload}"


def _signature(credentials: Credentials, stamp: str, canonical: str) -> str:
    digest = sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join((ALGORITHM, stamp, _scope(credentials, stamp), digest))
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (stamp[:8], credentials.region, "s3", "aws4_request", to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
