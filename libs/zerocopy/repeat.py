"""Recognise a request that differs from one of the last on its connection only in its range.

Players that seek and downloaders mostly send such requests: the same target, the same fields, another `Range`. The
results of parser and application for the first one hold for the next; only the range has to be evaluated. Behind a
proxy each request also has ids of its own (`X-Request-ID`, `traceparent`). An application may name such fields: their
values may differ as well, and it receives them.

Apart from those values, all bytes have to be equal. So a request that is recognised has the same fields in the same
order, none is repeated, folded or hidden in another one, and a parser would find just these values in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

from zerocopy.head import Head, Headers, begin, fields
from zerocopy.messages import RangeAnswer
from zerocopy.segment import SendSegment

MAX_REQUEST_BYTES = 4096
"""Longer requests are not remembered."""

MAX_REQUESTS = 4
"""How many requests of a connection are remembered."""

Answerer = Callable[[bytes, Mapping[bytes, bytes]], RangeAnswer | None]
"""Returns the response for a value of `Range`, and the values of the named fields that the request has."""

_RANGE = re.compile(rb"\r\nrange:[ \t]*([ -~]*)\r\n(?![ \t])", re.IGNORECASE)
_FIELD = re.compile(rb"\r\n([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~]*)(?=\r\n(?![ \t]))")
_NAME = re.compile(rb"\r\n([^:\r\n]*):")
_VALUE = re.compile(rb"[ -~]*")
_NO_FIELDS: Mapping[bytes, bytes] = MappingProxyType({})


class PreparedAnswer(NamedTuple):
    """A response that is ready to be sent."""

    answer: RangeAnswer
    part: SendSegment
    keeps_alive: bool
    """Whether another response may follow."""


class Repeatable:
    """The bytes of a request, and a function that answers it for another range.

    Args:
        request: the bytes.
        again: returns the application's response.
        tracing: names of the other fields whose values may differ, in lower case.
    """

    __slots__ = (
        "_after",
        "_again",
        "_before",
        "_default",
        "_head",
        "_headers",
        "_names",
        "_pieces",
        "_request",
        "_tracing",
        "is_over",
    )

    def __init__(self, request: bytes, again: Answerer, tracing: frozenset[bytes]) -> None:
        self._request = request
        self._again = again
        self._tracing = tracing
        self._names: list[bytes] = []
        # The bytes before, between and behind the values of these names; none until another request comes.
        self._pieces: list[bytes] = []
        self._before = self._after = b""
        self.is_over = False
        """Whether the application had no response: it answers the request, and may offer to repeat it again."""
        # The beginning of every head. It is serialised again when one of the objects that it was made of is replaced.
        self._head: Head | None = None
        self._default: Headers = ()
        self._headers: Headers = ()

    @classmethod
    def of(cls, request: bytes, again: Answerer, tracing: frozenset[bytes] = frozenset()) -> Self | None:
        """Return a complete request without content, or None unless it has exactly one `Range` field."""
        found = _RANGE.search(request)
        if found is None or request.lower().count(b"range:") > 1 or request.find(b"\r\n\r\n") != len(request) - 4:
            return None
        return cls(request, again, tracing)

    def begin(self, received: bytes, default: Headers) -> PreparedAnswer | None:
        """Return the response if this is the same request and the application has a response, otherwise None.

        Args:
            received: the received data.
            default: the server's own header fields.

        Raises:
            RuntimeError: a field of the response has characters that are not allowed.
            Exception: the application failed.
        """
        if not self._pieces and not self._split():
            return None
        if not (received.startswith(self._before) and received.endswith(self._after)):
            return None
        if len(self._pieces) > 2:  # noqa: PLR2004 - the range is not the only value
            named = self._values(received)
            if named is None:
                return None
            value = named.pop(b"range")
            answer = self._again(value, named)
        else:
            value = received[len(self._before) : -len(self._after)]
            answer = self._again(value, _NO_FIELDS) if _VALUE.fullmatch(value) else None
        if answer is None:
            self.is_over = True
            return None
        head = self._head
        if head is None or answer.headers is not self._headers or default is not self._default:
            self._headers, self._default = answer.headers, default
            head = self._head = begin(answer.status, (*default, *answer.headers))
        data = b"%b%bcontent-length: %d\r\n\r\n" % (head.data, fields(answer.fields), answer.count)
        return PreparedAnswer(
            answer, SendSegment(data, answer.file.fileno(), answer.offset, answer.count), head.keeps_alive
        )

    def _split(self) -> bool:
        """Split the request at the values that may differ. Return False if a named field is ambiguous in it."""
        request = self._request
        # Some parsers take a half of a line's end for a whole one.
        if not request.count(b"\r") == request.count(b"\n") == request.count(b"\r\n"):
            return False
        names = [name.lower() for name in _NAME.findall(request)]
        wanted = {b"range", *self._tracing.intersection(names)}
        found = [field for field in _FIELD.finditer(request) if field[1].lower() in wanted]
        # Each once, and well-formed: neither folded nor with anything but visible ASCII and spaces.
        if len(found) != len(wanted) or sum(name in wanted for name in names) != len(wanted):
            return False
        ends = [0, *(field.end(2) for field in found)]
        starts = [*(field.start(2) for field in found), len(request)]
        self._names = [field[1].lower() for field in found]
        self._pieces = [request[end:start] for end, start in zip(ends, starts, strict=True)]
        self._before, self._after = self._pieces[0], self._pieces[-1]
        self._request = b""
        return True

    def _values(self, received: bytes) -> dict[bytes, bytes] | None:
        """Return the values by their fields' names, or None if any other byte differs from the request."""
        values = {}
        position = 0
        for name, piece in zip(self._names, self._pieces, strict=False):
            if not received.startswith(piece, position):
                return None
            position += len(piece)
            end = received.find(b"\r", position)
            value = received[position:end]
            if end < 0 or _VALUE.fullmatch(value) is None:
                return None
            # Spaces before a value are no part of it; the parser keeps those behind it.
            values[name] = value.lstrip(b" ")
            position = end
        return values if received[position:] == self._after else None


class RecentRequests:
    """The last requests of a connection that can be repeated. A proxy sends those of several clients over one."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Repeatable] = []

    def add(self, request: bytes, again: Answerer, tracing: frozenset[bytes] = frozenset()) -> None:
        """Remember a request that was answered now, if it can be; see `Repeatable.of`."""
        repeatable = Repeatable.of(request, again, tracing)
        if repeatable is not None:
            self._kept.insert(0, repeatable)
            del self._kept[MAX_REQUESTS:]

    def begin(self, received: bytes, default: Headers) -> PreparedAnswer | None:
        """Return the response if this is one of the requests and the application has a response, otherwise None.

        See `Repeatable.begin`.
        """
        for repeatable in self._kept:
            begun = repeatable.begin(received, default)
            if begun is None and not repeatable.is_over:
                continue
            if repeatable is not self._kept[0] or begun is None:
                self._kept.remove(repeatable)
                if begun is not None:
                    self._kept.insert(0, repeatable)
            return begun
        return None
