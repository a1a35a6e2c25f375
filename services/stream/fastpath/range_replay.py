"""Answer a request that differs only in its range from one that was answered before on its connection.

Players that seek and downloaders send hardly any other. The server recognises such a request (`zerocopy`), so that
neither a parser nor the application has to look at it; everything that the answer depends on is looked up each time
anew. Behind the gateway each request has an id of its own, with which it is answered and logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.stream.delivery.file_response import FileSegment, RawHeader, RawHeaders
from services.stream.delivery.responses import RangeResponse, ResponseAssembler
from services.stream.fastpath.request import CachedRequest
from services.stream.storage.open_files import OpenFile


class RangeReplayer:
    """Return the response to a request that was answered before, for another range.

    Args:
        cached: the request.
        assembler: assembles the responses.
    """

    __slots__ = ("_assembler", "_cached", "_headers", "_typed_headers")

    def __init__(self, cached: CachedRequest, assembler: ResponseAssembler) -> None:
        self._cached = cached
        self._assembler = assembler
        # Which representation the headers are of, without keeping its file open.
        self._typed_headers: RawHeaders | None = None
        self._headers: tuple[RawHeader, ...] = ()

    def __call__(self, range_header: bytes, tracing: Mapping[bytes, bytes]) -> NextRange | None:
        """Return the response for a value of `Range`; None when the ordinary route has to answer.

        Args:
            range_header: the value.
            tracing: the request's own `TRACING_FIELDS`.
        """
        authorized = self._cached()
        if authorized is None:
            return None
        file = authorized.representation.file
        if not isinstance(file, OpenFile):
            return None
        response = self._assembler.assemble_range(authorized, range_header, tracing.get(b"x-request-id"))
        if response is None:
            return None
        # The server writes the head anew when the tuple is another one.
        if authorized.representation.typed_headers is not self._typed_headers:
            self._typed_headers = authorized.representation.typed_headers
            self._headers = self._assembler.shared_headers(authorized)
        return NextRange(self._headers, file, response)


class NextRange:
    """One segment of a file as a response: what `zerocopy.RangeAnswer` describes."""

    __slots__ = (
        "_is_begun",
        "_transfer",
        "count",
        "fields",
        "file",
        "headers",
        "offset",
        "residency",
        "sent",
    )

    status = 206

    def __init__(self, headers: tuple[RawHeader, ...], file: OpenFile, response: RangeResponse) -> None:
        segment: FileSegment
        self.fields, segment, self._transfer = response
        self.headers = headers
        self.file = file
        self.offset = segment.offset
        self.count = segment.count
        self.residency = file.residency
        self.sent = self._transfer.sent
        self._is_begun = False

    def waits(self, abort: Callable[[], None]) -> None:
        """Record that the client is slower than the file; `abort` ends the connection."""
        self._is_begun = True
        self._transfer.begin(self.status, abort)

    def end(self, *, completed: bool) -> None:
        """Record that nothing more is sent."""
        if not self._is_begun:
            self._transfer.begin(self.status, _do_nothing)
        self._transfer.end(completed=completed)


def _do_nothing() -> None:
    """Abort nothing: the response is over."""
