"""HTTP/1.1 by hand: requests as ready bytes, and as much of an answer's header as a timing client must look at."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_MAX_HEADER_BYTES = 16 * 1024


class BadAnswer(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """An answer that is not what a right server would give."""


@dataclass(frozen=True, slots=True)
class Span:
    """One byte range to ask for.

    Attributes:
        first: offset of its first byte.
        length: bytes that a right answer's body has.
        ending: what follows `request_head` in the request.
    """

    first: int
    length: int
    ending: bytes


def span(first: int, length: int, *, is_open: bool = False) -> Span:
    """The range of `length` bytes from `first`; an open one says `bytes=N-` and means the rest of the file."""
    last = "" if is_open else str(first + length - 1)
    return Span(first, length, f"{first}-{last}\r\n\r\n".encode())


def random_spans(file_bytes: int, range_bytes: int | None, count: int, seed: int) -> list[Span]:
    """Ranges at random offsets, the same for the same seed.

    Args:
        file_bytes: the size of the file.
        range_bytes: length of each; None for open-ended ones that begin in the first half of the file.
        count: how many.
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
    """A GET request up to the numbers of its Range, which `Span.ending` completes."""
    fields = {"Host": "127.0.0.1", **headers}
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "Range: bytes="]
    return "\r\n".join(lines).encode("latin-1")


def parse_header(block: bytes) -> tuple[int, int, int] | None:
    """Status, Content-Length and size of an answer's header in bytes; None while it is not complete.

    Raises:
        BadAnswer: this is no HTTP/1.1 answer with a Content-Length (RFC 9112, sections 4 and 6).
    """
    end = block.find(_END)
    if end < 0:
        if len(block) > _MAX_HEADER_BYTES:
            raise BadAnswer("a header without an end")
        return None
    header = block[: end + 2].lower()
    at = header.find(_LENGTH) + len(_LENGTH)
    if not header.startswith(b"http/1.1 ") or at < len(_LENGTH):
        raise BadAnswer(f"not an HTTP/1.1 answer with a Content-Length: {block[:200]!r}")
    try:
        return int(header[9:12]), int(header[at : header.index(b"\r\n", at)]), end + len(_END)
    except ValueError as error:
        raise BadAnswer(f"no number where one should be: {block[:200]!r}") from error
