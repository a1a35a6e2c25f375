"""Recognises a request that is the one before it on its connection, but for the range that it asks for.

A player that seeks and a downloader send hardly any other: the same target, the same fields, another `Range`. What a
parser, an application and its headers made of the first one holds for the next; only the range has to be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Self

from zerocopy.head import Head, Headers, begin, fields
from zerocopy.messages import RangeAnswer
from zerocopy.part import Part

MAX_REQUEST_BYTES = 4096
"""Longer requests are not remembered."""

_RANGE = re.compile(rb"\r\nrange:[ \t]*([ -~]*)\r\n(?![ \t])", re.IGNORECASE)
_VALUE = re.compile(rb"[ -~]*")


class Begun(NamedTuple):
    """An answer that is ready to be sent."""

    answer: RangeAnswer
    part: Part
    keeps_alive: bool
    """Whether another response may follow."""


class Repeatable:
    """A request whose bytes are known, and what answers it for another range.

    Args:
        before: its bytes up to the value of `Range`.
        after: those behind it.
        again: the application's answer for a value of `Range`.
    """

    __slots__ = ("_after", "_again", "_before", "_default", "_head", "_headers")

    def __init__(self, before: bytes, after: bytes, again: Callable[[bytes], RangeAnswer | None]) -> None:
        self._before = before
        self._after = after
        self._again = again
        # What every head begins with. It is written anew when something that it was made of is another object.
        self._head: Head | None = None
        self._default: Headers = ()
        self._headers: Headers = ()

    @classmethod
    def of(cls, request: bytes, again: Callable[[bytes], RangeAnswer | None]) -> Self | None:
        """A whole request without content, if it has exactly one `Range` and nothing that looks like another."""
        found = _RANGE.search(request)
        if found is None or request.lower().count(b"range:") > 1 or request.find(b"\r\n\r\n") != len(request) - 4:
            return None
        return cls(request[: found.start(1)], request[found.end(1) :], again)

    def begin(self, received: bytes, default: Headers) -> Begun | None:
        """How to answer if this is the request again, and the application has an answer at hand.

        Args:
            received: what the client sent.
            default: the server's own header fields.

        Raises:
            RuntimeError: a field of the answer has characters that don't belong there.
            Exception: the application failed.
        """
        if not (received.startswith(self._before) and received.endswith(self._after)):
            return None
        value = received[len(self._before) : -len(self._after)]
        answer = self._again(value) if _VALUE.fullmatch(value) else None
        if answer is None:
            return None
        head = self._head
        if head is None or answer.headers is not self._headers or default is not self._default:
            self._headers, self._default = answer.headers, default
            head = self._head = begin(answer.status, (*default, *answer.headers))
        data = b"%b%bcontent-length: %d\r\n\r\n" % (head.data, fields(answer.fields), answer.count)
        return Begun(answer, Part(data, answer.file.fileno(), answer.offset, answer.count), head.keeps_alive)
