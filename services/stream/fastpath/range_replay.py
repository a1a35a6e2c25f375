"""Answers a request for bytes that was answered before on its connection, but for the range that it asks for.

A player that jumps and a downloader send hardly any other. The server recognises such a request (`zerocopy`), so that
neither a parser nor the application has to look at it; what an answer depends on is looked at here each time anew.
"""

from __future__ import annotations

from collections.abc import Callable

from kit.ids import new_id
from services.stream.delivery.file_response import FileSegment, RawHeader
from services.stream.delivery.ranges import RangeNotSatisfiable, select
from services.stream.delivery.representation import Representation
from services.stream.delivery.transfers import Traffic, Transfer
from services.stream.fastpath.request import CachedRequest
from services.stream.storage.open_files import OpenFile

# Of the headers that other answers carry, the one that means something for bytes that no page renders.
NOSNIFF = (b"x-content-type-options", b"nosniff")


class RangeReplayer:
    """The answer to one request, for any range.

    Args:
        claim: what the request rests on.
        traffic: watches the answers.
        headers: what every answer carries.
    """

    __slots__ = ("_claim", "_common", "_headers", "_shown", "_traffic")

    def __init__(self, claim: CachedRequest, *, traffic: Traffic, headers: tuple[RawHeader, ...]) -> None:
        self._claim = claim
        self._traffic = traffic
        self._common = headers
        self._shown: Representation | None = None
        self._headers: tuple[RawHeader, ...] = ()

    def __call__(self, asked: bytes) -> NextRange | None:
        """The part of the file that a value of `Range` asks for; None when that takes more thought, or waiting."""
        granted = self._claim()
        if granted is None:
            return None
        caller, shown, playing = granted
        if not isinstance(shown.file, OpenFile):
            return None
        try:
            ranges = select(asked.decode("ascii"), shown.size)
        except RangeNotSatisfiable:
            return None
        if ranges is None or len(ranges) > 1:
            return None
        parts = shown.parts(ranges[0])
        # Of a virtual file, part of the answer may be in memory.
        if len(parts) > 1 or parts[0].head:
            return None
        if shown is not self._shown:
            self._shown = shown
            self._headers = (*shown.typed_headers, *self._common)
        request_id = new_id()
        transfer = self._traffic.transfer(caller.user_id, self._claim.video_id, request_id, playing)
        span = ranges[0]
        transfer.reaches_end = span.last == shown.size - 1
        fields = (
            (b"x-request-id", request_id.encode()),
            (b"content-range", b"bytes %d-%d/%d" % (span.first, span.last, shown.size)),
        )
        return NextRange(self._headers, fields, shown.file, parts[0], transfer)


class NextRange:
    """One part of a file as an answer: what `zerocopy.RangeAnswer` describes."""

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

    def __init__(
        self,
        headers: tuple[RawHeader, ...],
        fields: tuple[RawHeader, ...],
        file: OpenFile,
        part: FileSegment,
        transfer: Transfer,
    ) -> None:
        self.headers = headers
        self.fields = fields
        self.file = file
        self.offset = part.offset
        self.count = part.count
        self.residency = file.residency
        self.sent = transfer.sent
        self._transfer = transfer
        self._is_begun = False

    def waits(self, abort: Callable[[], None]) -> None:
        """The client takes its time; `abort` ends the connection."""
        self._is_begun = True
        self._transfer.begin(self.status, abort)

    def end(self, *, completed: bool) -> None:
        """Nothing more is sent."""
        if not self._is_begun:
            self._transfer.begin(self.status, _nothing)
        self._transfer.end(completed=completed)


def _nothing() -> None:
    """What is over can't be ended."""
