"""Recognise a request that differs from the one before it on its connection only in its range.

Players that seek and downloaders mostly send such requests: the same target, the same fields, another `Range`. The
results of parser and application for the first one hold for the next; only the range has to be evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Self

from zerocopy.head import Head, Headers, begin, fields
from zerocopy.messages import RangeAnswer
from zerocopy.segment import SendSegment

MAX_REQUEST_BYTES = 4096
"""Longer requests are not remembered."""

_RANGE = re.compile(rb"\r\nrange:[ \t]*([ -~]*)\r\n(?![ \t])", re.IGNORECASE)
_VALUE = re.compile(rb"[ -~]*")


class PreparedAnswer(NamedTuple):
    """A response that is ready to be sent."""

    answer: RangeAnswer
    part: SendSegment
    keeps_alive: bool
    """Whether another response may follow."""


class Repeatable:
    """The bytes of a request, and a function that answers it for another range.

    Args:
        before: the bytes up to the value of `Range`.
        after: the bytes behind it.
        again: returns the application's response for a value of `Range`.
    """

    __slots__ = ("_after", "_again", "_before", "_default", "_head", "_headers")

    def __init__(self, before: bytes, after: bytes, again: Callable[[bytes], RangeAnswer | None]) -> None:
        self._before = before
        self._after = after
        self._again = again
        # The beginning of every head. It is serialised again when one of the objects that it was made of is replaced.
        self._head: Head | None = None
        self._default: Headers = ()
        self._headers: Headers = ()

    @classmethod
    def of(cls, request: bytes, again: Callable[[bytes], RangeAnswer | None]) -> Self | None:
        """Return a complete request without content, or None unless it has exactly one `Range` field."""
        found = _RANGE.search(request)
        if found is None or request.lower().count(b"range:") > 1 or request.find(b"\r\n\r\n") != len(request) - 4:
            return None
        return cls(request[: found.start(1)], request[found.end(1) :], again)

    def begin(self, received: bytes, default: Headers) -> PreparedAnswer | None:
        """Return the response if this is the same request and the application has a response, otherwise None.

        Args:
            received: the received data.
            default: the server's own header fields.

        Raises:
            RuntimeError: a field of the response has characters that are not allowed.
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
        return PreparedAnswer(
            answer, SendSegment(data, answer.file.fileno(), answer.offset, answer.count), head.keeps_alive
        )
