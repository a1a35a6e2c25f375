"""Answers a request for bytes that was answered before on its connection, but for the range that it asks for.

A player that jumps and a downloader send hardly any other. The server recognises such a request (`zerocopy`), so that
neither a parser nor the application has to look at it; what an answer depends on is looked at here each time anew.
"""

from __future__ import annotations

from collections.abc import Callable

from kit.callers import Authenticate
from kit.ids import new_id
from services.stream.files import OpenFile
from services.stream.http.answers import Fields
from services.stream.ranges import ByteRange, RangeNotSatisfiable, select
from services.stream.representation import Representation
from services.stream.sender import RawHeader
from services.stream.service import Streams
from services.stream.traffic import Traffic, Transfer

# Of the headers that other answers carry, the one that means something for bytes that no page renders.
NOSNIFF = (b"x-content-type-options", b"nosniff")


class Again:
    """The answer to one request, for any range.

    Args:
        fields: the request's header fields.
        video_id: the video that it asks for.
        authenticate: knows who called before.
        streams: knows what was opened before.
        traffic: watches the answers.
    """

    __slots__ = ("_authenticate", "_fields", "_headers", "_shown", "_streams", "_traffic", "_video_id")

    def __init__(
        self, fields: Fields, video_id: str, *, authenticate: Authenticate, streams: Streams, traffic: Traffic
    ) -> None:
        self._fields = fields
        self._video_id = video_id
        self._authenticate = authenticate
        self._streams = streams
        self._traffic = traffic
        self._shown: Representation | None = None
        self._headers: tuple[RawHeader, ...] = ()

    def __call__(self, asked: bytes) -> NextRange | None:
        """The part of the file that a value of `Range` asks for; None when that takes more thought, or waiting."""
        caller = self._authenticate.known(self._fields)
        shown = self._streams.known(self._video_id, None, caller) if caller else None
        if caller is None or shown is None or not isinstance(shown.file, OpenFile):
            return None
        try:
            ranges = select(asked.decode("ascii"), shown.size)
        except RangeNotSatisfiable:
            return None
        if ranges is None or len(ranges) > 1:
            return None
        if shown is not self._shown:
            self._shown = shown
            self._headers = (*shown.typed_headers, NOSNIFF)
        request_id = new_id()
        transfer = self._traffic.transfer(caller.user_id, self._video_id, request_id)
        span = ranges[0]
        fields = (
            (b"x-request-id", request_id.encode()),
            (b"content-range", b"bytes %d-%d/%d" % (span.first, span.last, shown.size)),
        )
        return NextRange(self._headers, fields, shown.file, span, transfer)


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
        span: ByteRange,
        transfer: Transfer,
    ) -> None:
        self.headers = headers
        self.fields = fields
        self.file = file
        self.offset = span.first
        self.count = span.count
        self.residency = file.residency
        self.sent = transfer.sent
        self._transfer = transfer
        self._is_begun = False

    def waits(self, abort: Callable[[], None]) -> None:  # noqa: ARG002 - nothing ends a transfer from outside
        """The client takes its time."""
        self._is_begun = True
        self._transfer.begin(self.status)

    def end(self, *, completed: bool) -> None:
        """Nothing more is sent."""
        if not self._is_begun:
            self._transfer.begin(self.status)
        self._transfer.end(completed=completed)
