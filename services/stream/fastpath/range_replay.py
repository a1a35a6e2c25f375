"""Answers a request for bytes that was answered before on its connection, but for the range that it asks for.

A player that jumps and a downloader send hardly any other. The server recognises such a request (`zerocopy`), so that
neither a parser nor the application has to look at it; everything that the answer depends on is looked up each time
anew.
"""

from __future__ import annotations

from collections.abc import Callable

from services.stream.delivery.file_response import FileSegment, RawHeader
from services.stream.delivery.representation import Representation
from services.stream.delivery.responses import RangeResponse, ResponseAssembler
from services.stream.fastpath.request import CachedRequest
from services.stream.storage.open_files import OpenFile


class RangeReplayer:
    """The answer to one request, for any range.

    Args:
        cached: the request.
        assembler: assembles the responses.
    """

    __slots__ = ("_assembler", "_cached", "_headers", "_representation")

    def __init__(self, cached: CachedRequest, assembler: ResponseAssembler) -> None:
        self._cached = cached
        self._assembler = assembler
        self._representation: Representation | None = None
        self._headers: tuple[RawHeader, ...] = ()

    def __call__(self, range_header: bytes) -> NextRange | None:
        """Return the response for a value of `Range`; None when that takes more thought, or waiting."""
        authorized = self._cached()
        if authorized is None:
            return None
        file = authorized.representation.file
        if not isinstance(file, OpenFile):
            return None
        response = self._assembler.assemble_range(authorized, range_header)
        if response is None:
            return None
        # The server writes the head anew when the tuple is another one.
        if authorized.representation is not self._representation:
            self._representation = authorized.representation
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
        """Note that the client takes its time; `abort` ends the connection."""
        self._is_begun = True
        self._transfer.begin(self.status, abort)

    def end(self, *, completed: bool) -> None:
        """Note that nothing more is sent."""
        if not self._is_begun:
            self._transfer.begin(self.status, _do_nothing)
        self._transfer.end(completed=completed)


def _do_nothing() -> None:
    """Abort nothing: the response is over."""
