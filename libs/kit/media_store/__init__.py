"""The media store as it is written, behind one port: a folder, or a bucket of S3.

store = BucketStore(Bucket(endpoint, "films", client), "marquee")
async with store.writer("videos/v1/source", max_bytes=1 << 40) as writer:
    await writer.write(block)
    await writer.complete()
"""

from __future__ import annotations

from kit.media_store.bucket import BucketStore
from kit.media_store.folder import FolderStore
from kit.media_store.port import FolderEntry, MediaWriter, WritableStore

__all__ = ["BucketStore", "FolderEntry", "FolderStore", "MediaWriter", "WritableStore"]
