"""Minimal HTTP/1.1: requests as prepared bytes, and as much of a response's header as a timing client needs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_MAX_HEADER_BYTES = 16 * 1024


class BadResponseError(Exception):
    """A response that a correct server would not send."""


@dataclass(frozen=True, slots=True)
class Span:
    """A byte range to request.

    Attributes:
        first: offset of its first byte.
        length: bytes of a correct response's body.
        ending: what follows `request_head` in the request.
    """

    first: int
    length: int
    ending: bytes


def span(first: int, length: int, *, is_open: bool = False) -> Span:
    """Return the range of `length` bytes from `first`; an open one says `bytes=N-`, the rest of the file."""
    last = "" if is_open else str(first + length - 1)
    return Span(first, length, f"{first}-{last}\r\n\r\n".encode())


def random_spans(file_bytes: int, range_bytes: int | None, count: int, seed: int) -> list[Span]:
    """Return ranges at random offsets, the same for the same seed.

    Args:
        file_bytes: the size of the file.
        range_bytes: length of each; None for open-ended ones that begin in the first half of the file.
        count: number of ranges.
        seed: of the random offsets.

    Raises:
        ValueError: the file is smaller than a range.
    """
    dice = random.Random(seed)  # noqa: S311 - repeatable choices need no cryptography
    if range_bytes is None:
        starts = [dice.randrange(max(1, file_bytes // 2)) for _ in range(count)]
        return [span(first, file_bytes - first, is_open=True) for first in starts]
    if range_bytes > file_bytes:
        raise ValueError(f"a range of {range_bytes} bytes does not fit into {file_bytes}")
    return [span(dice.randrange(file_bytes - range_bytes + 1), range_bytes) for _ in range(count)]


def request_head(path: str, headers: Mapping[str, str]) -> bytes:
    """Return a GET request up to the numbers of its Range, which `Span.ending` completes."""
    fields = {"Host": "127.0.0.1", **headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "Range: bytes="]
    return "\r\n".join(lines).encode("latin-1")


def parse_header(block: bytes) -> tuple[int, int, int] | None:
    """Return status, Content-Length and size of a header in bytes; None while it is not complete.

    Raises:
        BadResponseError: this is no HTTP/1.1 response with a Content-Length (RFC 9112, sections 4 and 6).
    """
    end = block.find(_END)
    if end < 0:
        if len(block) > _MAX_HEADER_BYTES:
            raise BadResponseError("a header without an end")
        return None
    header = block[: end + 2].lower()
    at = header.find(_LENGTH) + len(_LENGTH)
    if not header.startswith(b"http/1.1 ") or at < len(_LENGTH):
        raise BadResponseError(f"not an HTTP/1.1 answer with a Content-Length: {block[:200]!r}")
    try:
        return int(header[9:12]), int(header[at : header.index(b"\r\n", at)]), end + len(_END)
    except ValueError as error:
        raise BadResponseError(f"no number where one should be: {block[:200]!r}") from error
