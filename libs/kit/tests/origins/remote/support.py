"""Bytes of a remote file, and ways to read them."""

from __future__ import annotations

import os

from kit.origins import OriginError, RemoteFile

DATA = os.urandom(300_000)


async def read(file: RemoteFile, offset: int = 0, count: int | None = None) -> bytes:
    count = file.info.size - offset if count is None else count
    return b"".join([block async for block in file.blocks(offset, count)])


async def read_until_it_fails(file: RemoteFile, offset: int = 0) -> tuple[bytes, OriginError]:
    got = b""
    try:
        async for block in file.blocks(offset, file.info.size - offset):
            got += block
    except OriginError as error:
        return got, error
    raise AssertionError("it did not fail")
