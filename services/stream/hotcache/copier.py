"""Copy an original at a limited rate, and verify the copy."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace

from services.stream.hotcache.copy_writer import CopyWriter
from services.stream.hotcache.manifest import CopyManifest
from services.stream.storage.port import StoredFile

STALL_SEC = 30.0
"""How long a store may take for one block before the copy is given up."""
BLOCK_BYTES = 1024 * 1024
"""What is read back at a time."""


class ChecksumMismatchError(Exception):
    """The bytes read back from the disk differ from those written."""


class Pace:
    """Limits a rate of bytes, with bursts of a tenth of a second.

    Args:
        bytes_per_sec: the rate.
    """

    def __init__(self, bytes_per_sec: int) -> None:
        self._bytes_per_sec = bytes_per_sec
        self._free_at = 0.0

    async def spend(self, count: int) -> None:
        """Wait until so many bytes more are allowed."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - 0.1) + count / self._bytes_per_sec
        if (pause := self._free_at - now) > 0:
            await asyncio.sleep(pause)


async def copy(original: StoredFile, writer: CopyWriter, pace: Pace, threads: ThreadPoolExecutor) -> CopyManifest:
    """Copy an original, read the copy back from the disk, and return the manifest with the checksum of both.

    Raises:
        OSError: the store or the disk failed; ETIMEDOUT when the store stalled.
        ChecksumMismatchError: the bytes read back differ.
    """
    loop = asyncio.get_running_loop()
    digest = hashlib.sha256()
    offset = 0

    def write(block: bytes) -> None:
        digest.update(block)
        writer.write(offset, block)

    async with aclosing(original.blocks(0, original.size)) as blocks:
        while block := await _next(blocks):
            await loop.run_in_executor(threads, write, block)
            offset += len(block)
            await pace.spend(len(block))
    if offset != original.size:
        raise OSError(errno.EIO, f"the original ended at byte {offset}")
    await loop.run_in_executor(threads, writer.sync)
    written = hashlib.sha256()

    def read_back() -> int:
        block = writer.read(offset, BLOCK_BYTES)
        written.update(block)
        return len(block)

    offset = 0
    while count := await loop.run_in_executor(threads, read_back):
        offset += count
        await pace.spend(count)
    if written.digest() != digest.digest():
        raise ChecksumMismatchError(f"{offset} bytes of {writer.manifest.video_id} read back have another checksum")
    return replace(writer.manifest, sha256=digest.hexdigest())


async def _next(blocks: AsyncGenerator[bytes, None]) -> bytes:
    # Not `wait_for`, which before Python 3.12 may lose a cancellation.
    async with asyncio.timeout(STALL_SEC):
        return await anext(blocks, b"")
