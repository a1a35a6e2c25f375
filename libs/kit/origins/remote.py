"""One version of a file on another machine: its metadata, and its bytes by range (RFC 9110, 13 and 14).

Every response is compared with the metadata from opening the file. A changed original is noticed before a byte of it is
used, so bytes of two versions are never mixed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Final

import structlog

from kit.origins.client import OriginResponse
from kit.origins.errors import (
    OriginChangedError,
    OriginDeniedError,
    OriginError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
)

log = structlog.get_logger()

Ask = Callable[[Mapping[str, str]], AbstractAsyncContextManager[OriginResponse]]
"""Requests one file, with more header fields; raises what `OriginClient.get` raises."""

FRESH_SEC: Final = 30.0
"""Seconds for which the original is taken as unchanged without a request. Reading revalidates each time."""
TRIES: Final = 3
"""Consecutive attempts at a body that breaks off."""
RETRY_AFTER_SEC: Final = 0.2
_PROGRESS_BYTES: Final = 1 << 20
_SPAN: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_EMPTY: Final = re.compile(r"bytes \*/0+")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_MISSING: Final = frozenset({404, 410})
_DENIED: Final = frozenset({401, 403, 451})


@dataclass(frozen=True, slots=True)
class RemoteFileInfo:
    """Metadata that identify one version of an original."""

    size: int
    tag: str
    """Its entity tag as sent, weak or strong; empty without one."""
    modified: int | None
    """Seconds since 1970."""
    takes_ranges: bool
    """If not, the file is read from its beginning up to the wanted bytes."""
    content_type: str

    @property
    def state(self) -> str:
        """Return a short text for the version, valid in an entity tag."""
        text = f"{self.size} {self.modified} {self.tag}".encode()
        return f"{self.size:x}-{blake2b(text, digest_size=8).hexdigest()}"


def read_info(answer: OriginResponse) -> RemoteFileInfo:
    """Return the metadata of the whole file from a response.

    Raises:
        OriginMissingError: there is no such file.
        OriginDeniedError: reading it is forbidden.
        OriginInterruptedError: try again later.
        OriginUnusableError: it has no length or no validator, or the response is malformed.
    """
    _check_status(answer)
    fields = answer.fields
    if fields.get("content-encoding", "identity").lower() != "identity":
        raise OriginUnusableError("the origin compresses the file")
    takes_ranges = _is_part(answer)
    if takes_ranges:
        _, _, size = _span(fields)
    elif _LENGTH.fullmatch(length := fields.get("content-length", "")):
        size = int(length)
    else:
        raise OriginUnusableError("the origin does not tell how long the file is")
    tag = fields.get("etag", "")
    tag = tag if _TAG.fullmatch(tag) else ""
    modified = _date(fields.get("last-modified"))
    if modified is None and (not tag or tag.startswith("W/")):
        raise OriginUnusableError(
            "the origin tells neither a strong ETag nor Last-Modified: a change would go unnoticed"
        )
    return RemoteFileInfo(
        size, tag, modified, takes_ranges, fields.get("content-type", "").partition(";")[0].strip().lower()
    )


def _is_part(answer: OriginResponse) -> bool:
    """Return whether a body is a part of the file. Some servers (rclone's S3) send parts with status 200."""
    return answer.status == HTTPStatus.PARTIAL_CONTENT or "content-range" in answer.fields


def _check_status(answer: OriginResponse) -> None:
    status = answer.status
    if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and _EMPTY.fullmatch(
        answer.fields.get("content-range", "")
    ):
        raise OriginUnusableError("the file is empty")
    if status in _MISSING:
        raise OriginMissingError(f"the origin answers {status}")
    if status in _DENIED:
        raise OriginDeniedError(f"the origin answers {status}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise OriginInterruptedError(f"the origin answers {status}")
    raise OriginUnusableError(f"the origin answers {status}")


def _span(fields: Mapping[str, str]) -> tuple[int, int, int]:
    """Return first and last byte of a part, and the length of the whole (RFC 9110, 14.4)."""
    found = _SPAN.fullmatch(fields.get("content-range", ""))
    if found is None:
        raise OriginUnusableError("the origin sends a part without saying of what")
    first, last, size = (int(number) for number in found.groups())
    if not first <= last < size or int(fields.get("content-length", last - first + 1)) != last - first + 1:
        raise OriginUnusableError("the origin sends a part that can't be")
    return first, last, size


def _date(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        return None


async def _read_first_byte(answer: OriginResponse) -> None:
    """Read the requested part of one byte. A longer one is left unread, which closes the connection.

    Raises:
        OriginInterruptedError: it does not arrive in time.
        OriginUnusableError: the body is longer than announced.
    """
    first, last, _ = _span(answer.fields)
    if first != last:
        return
    block = await anext(answer.body, b"")
    if len(block) > 1 or not await _is_over(answer):
        raise OriginUnusableError("the origin sends more than the part that it announces")


async def _is_over(answer: OriginResponse) -> bool:
    """Return whether nothing follows in a body; once its end has been read, its connection can be used again."""
    try:
        return await anext(answer.body, None) is None
    except OriginInterruptedError:
        return True  # all requested bytes have arrived


class RemoteFile:
    """A file on another machine, in the version that was opened. It needs no closing.

    Args:
        ask: requests it.
        info: its metadata.
    """

    def __init__(self, ask: Ask, info: RemoteFileInfo) -> None:
        self._ask = ask
        self._validated_at = time.monotonic()
        self.info = info

    @classmethod
    async def open(cls, ask: Ask) -> RemoteFile:
        """Open a file: request one byte, which brings length and validators of the whole.

        Raises:
            OriginError: it can't be read or served; the subclass tells why.
        """
        async with ask({"Range": "bytes=0-0"}) as answer:
            info = read_info(answer)
            if info.takes_ranges:
                await _read_first_byte(answer)
        if not info.size:
            raise OriginUnusableError("the file is empty")
        return cls(ask, info)

    def is_validated(self) -> bool:
        """Return whether this version was validated within the last `FRESH_SEC` seconds."""
        return time.monotonic() - self._validated_at < FRESH_SEC

    def mark_validated(self) -> None:
        """Record that the origin still has this version."""
        self._validated_at = time.monotonic()

    async def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Yield exactly these bytes, each block read on demand.

        A body that breaks off is requested again from there on: an origin may disconnect a viewer who paused.

        Raises:
            OriginChangedError: the original has changed.
            OriginInterruptedError: it broke off `TRIES` times in a row.
            OriginError: it can't be read.
        """
        end, failures, safe = offset + count, 0, offset
        while offset < end:
            try:
                async with aclosing(self._stretch(offset, end)) as stretch:
                    async for block in stretch:
                        offset += len(block)
                        yield block
            except OriginInterruptedError as error:
                if offset == end:
                    return
                if offset - safe >= _PROGRESS_BYTES:
                    failures, safe = 0, offset
                failures += 1
                if failures >= TRIES:
                    raise
                log.info("origin_interrupted", reason=str(error), offset=offset)
                await asyncio.sleep(RETRY_AFTER_SEC * failures)

    async def _stretch(self, offset: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of one answer between two offsets; raise OriginInterruptedError when there are fewer."""
        async with self._ask({"Range": f"bytes={offset}-{end - 1}"} | self._condition()) as answer:
            last, skip = self._check(answer, offset, end)
            end = min(end, last + 1)
            async for block in answer.body:
                if skip >= len(block):
                    skip -= len(block)
                    continue
                wanted = block[skip : skip + end - offset]
                skip = 0
                offset += len(wanted)
                if wanted:
                    yield wanted
                if offset == end:
                    if _is_part(answer):
                        await _is_over(answer)
                    return
        raise OriginInterruptedError(f"the body ended at byte {offset}")

    def _condition(self) -> dict[str, str]:
        """Return `If-Range` (RFC 9110, 13.1.5): a changed file is sent whole then, which `_check` refuses."""
        if self.info.tag and not self.info.tag.startswith("W/"):
            return {"If-Range": self.info.tag}
        return {}

    def _check(self, answer: OriginResponse, offset: int, end: int) -> tuple[int, int]:
        """Return the offset of the last byte of a response's body, and how many bytes of the body to skip."""
        try:
            found = read_info(answer)
            if found.state != self.info.state:
                raise OriginChangedError("the original has changed")
            if not found.takes_ranges:
                skip, last = offset, found.size - 1
            else:
                first, last, _ = _span(answer.fields)
                if first != offset or last >= end:
                    raise OriginUnusableError("the origin sends another part than was asked for")
                skip = 0
        except OriginInterruptedError:
            raise
        except OriginError:
            # The next request must validate the file again.
            self._validated_at = float("-inf")
            raise
        self.mark_validated()
        return last, skip
