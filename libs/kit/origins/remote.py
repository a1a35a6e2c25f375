"""One state of a file on another machine: what is known of it, and its bytes by range (RFC 9110, 13 and 14).

Every answer is held against the state that was found when the file was opened. A changed original is noticed before a
byte of it is used, so bytes of two states are never mixed.
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

from kit.origins.client import Answer
from kit.origins.errors import (
    OriginChangedError,
    OriginDeniedError,
    OriginError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
)

log = structlog.get_logger()

Ask = Callable[[Mapping[str, str]], AbstractAsyncContextManager[Answer]]
"""Asks for one file, with more header fields; `client.Client.get` says what it raises."""

FRESH_SEC: Final = 30.0
"""For so long it is believed, unasked, that the original has not changed. Reading it asks each time."""
TRIES: Final = 3
"""How often in a row a body may break off."""
RETRY_AFTER_SEC: Final = 0.2
_PROGRESS_BYTES: Final = 1 << 20
_SPAN: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_EMPTY: Final = re.compile(r"bytes \*/0+")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_MISSING: Final = frozenset({404, 410})
_DENIED: Final = frozenset({401, 403, 451})


@dataclass(frozen=True, slots=True)
class Facts:
    """What tells one state of an original from another."""

    size: int
    tag: str
    """Its entity tag as it was sent, weak or strong; empty when there is none."""
    modified: int | None
    """Seconds since 1970."""
    takes_ranges: bool
    """Otherwise it is read from its beginning to where the wanted bytes are."""
    content_type: str

    @property
    def state(self) -> str:
        """Names the state in a few characters of an entity tag."""
        told = f"{self.size} {self.modified} {self.tag}".encode()
        return f"{self.size:x}-{blake2b(told, digest_size=8).hexdigest()}"


def facts_of(answer: Answer) -> Facts:
    """What an answer says of the whole file.

    Raises:
        OriginMissingError: there is none.
        OriginDeniedError: it may not be read.
        OriginInterruptedError: ask again later.
        OriginUnusableError: it has no length, nothing that tells its states apart, or makes no sense.
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
    return Facts(size, tag, modified, takes_ranges, fields.get("content-type", "").partition(";")[0].strip().lower())


def _is_part(answer: Answer) -> bool:
    """Whether a body is a part of the file. Some servers (rclone's S3) send parts with status 200."""
    return answer.status == HTTPStatus.PARTIAL_CONTENT or "content-range" in answer.fields


def _check_status(answer: Answer) -> None:
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
    """First and last byte of a part, and the length of the whole (RFC 9110, 14.4)."""
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


async def _read_first_byte(answer: Answer) -> None:
    """Read the part of one byte that was asked for. A longer one is left unread, which cuts the connection.

    Raises:
        OriginInterruptedError: it does not come in time.
        OriginUnusableError: more comes than was announced.
    """
    first, last, _ = _span(answer.fields)
    if first != last:
        return
    block = await anext(answer.body, b"")
    if len(block) > 1 or not await _is_over(answer):
        raise OriginUnusableError("the origin sends more than the part that it announces")


async def _is_over(answer: Answer) -> bool:
    """Return whether nothing follows in a body; once its end has been read, its connection can be used again."""
    try:
        return await anext(answer.body, None) is None
    except OriginInterruptedError:
        return True  # all that was asked for is there


class RemoteFile:
    """A file on another machine, in the state in which it was opened. It needs no closing.

    Args:
        ask: asks for it.
        facts: its state.
    """

    def __init__(self, ask: Ask, facts: Facts) -> None:
        self._ask = ask
        self._confirmed_at = time.monotonic()
        self.facts = facts

    @classmethod
    async def open(cls, ask: Ask) -> RemoteFile:
        """Asks for one byte, and learns length and validators of the whole.

        Raises:
            OriginError: it can't be read, or not served; its subclasses say why.
        """
        async with ask({"Range": "bytes=0-0"}) as answer:
            facts = facts_of(answer)
            if facts.takes_ranges:
                await _read_first_byte(answer)
        if not facts.size:
            raise OriginUnusableError("the file is empty")
        return cls(ask, facts)

    def is_fresh(self) -> bool:
        """Whether it was seen in this state a short time ago."""
        return time.monotonic() - self._confirmed_at < FRESH_SEC

    def confirm(self) -> None:
        """Notes that it was seen in this state."""
        self._confirmed_at = time.monotonic()

    async def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Exactly these bytes, each block read when it is asked for.

        What breaks off is asked for again from there on: an origin may hang up on a viewer who paused.

        Raises:
            OriginChangedError: the original is another one now.
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
        """`If-Range` (RFC 9110, 13.1.5): an origin that changed sends another state whole, which `_check` refuses."""
        if self.facts.tag and not self.facts.tag.startswith("W/"):
            return {"If-Range": self.facts.tag}
        return {}

    def _check(self, answer: Answer, offset: int, end: int) -> tuple[int, int]:
        """The last byte of an answer's body, and how many to skip of it."""
        try:
            found = facts_of(answer)
            if found.state != self.facts.state:
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
            # Whoever asks next has to look anew.
            self._confirmed_at = float("-inf")
            raise
        self.confirm()
        return last, skip
