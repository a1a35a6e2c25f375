"""Buckets of a throw-away server of S3."""

from __future__ import annotations

from kit.ids import new_id
from kit.origins import OriginClient
from kit.origins.bucket import Bucket
from kit.origins.s3 import Endpoint
from kit.origins.sigv4 import Credentials
from kit.testing.servers import WrittenS3Server


async def make_bucket(server: WrittenS3Server, client: OriginClient) -> Bucket:
    """Return a new bucket, whose listings have pages of three entries."""
    credentials = Credentials(server.access_key_id, server.secret_access_key, "us-east-1")
    bucket = Bucket(Endpoint.of(server.url, credentials), f"kit-{new_id()}", client, page_size=3)
    await bucket._send("PUT", "")  # CreateBucket  # noqa: SLF001 - only tests create buckets
    return bucket
