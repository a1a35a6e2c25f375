"""Assemble responses to requests for a video's bytes (RFC 9110): headers, request id, transfer and segments."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.ids import new_id
from kit.telemetry import accept_request_id
from services.stream.delivery.file_response import EmptyResponse, FileBody, FileSegment, RawHeader
from services.stream.delivery.multipart import frame
from services.stream.delivery.preconditions import Conditions, PreconditionResult, evaluate_preconditions
from services.stream.delivery.ranges import RangeNotSatisfiableError, select
from services.stream.delivery.representation import Representation
from services.stream.delivery.transfers import Traffic, Transfer
from services.stream.domain import Decision, ResponseStatus, decide
from services.stream.sessions.local_session import LocalSession

START_APPLIED: RawHeader = (b"start-applied", b"true")
START_IGNORED: RawHeader = (b"start-applied", b"false")
"""Whether the response to a request with `start` begins there."""

CONDITIONAL_FIELDS = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"}
)
"""The header fields of preconditions (RFC 9110, 13.1)."""

Fields = Mapping[bytes, bytes]
"""A request's header fields, by lower-case name."""


class AuthorizedRequest(NamedTuple):
    """A request that may be answered: its caller, the representation that it selects, and its play session."""

    caller: Caller
    representation: Representation
    local_session: LocalSession | None
    """None for a HEAD, which needs no session."""
    is_start_applied: bool | None = None
    """Whether the representation begins at the requested time; None without `start`."""


RangeResponse = tuple[tuple[RawHeader, ...], FileSegment, Transfer]
"""A 206 with one range: the headers that it does not share with others of its representation (`Content-Length` aside),
its bytes, and its transfer. A plain tuple, as making a named one is felt in every replayed range."""


def fields_of(headers: Iterable[RawHeader]) -> dict[bytes, bytes]:
    """Return header fields by name. Several lines are one list (RFC 9110, 5.3), so a single value becomes malformed."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


class ResponseAssembler:
    """Assemble every response with a video's bytes, for the ordinary route, the fast path and replayed ranges alike.

    Args:
        traffic: counts what is sent.
        headers: of every response.
        adds_request_id: whether responses get their request id here; otherwise `RequestMiddleware` gives it.
    """

    __slots__ = ("_adds_request_id", "_headers", "_traffic")

    def __init__(self, traffic: Traffic, headers: Sequence[RawHeader] = (), *, adds_request_id: bool = False) -> None:
        self._traffic = traffic
        self._headers: dict[bool | None, tuple[RawHeader, ...]] = {
            None: tuple(headers),
            True: (*headers, START_APPLIED),
            False: (*headers, START_IGNORED),
        }
        self._adds_request_id = adds_request_id

    def assemble(
        self, request: AuthorizedRequest, method: str, fields: Fields, *, saved_as: str | None = None
    ) -> FileBody | EmptyResponse:
        """Return the response to a GET or HEAD; sending it counts and logs it.

        Args:
            request: caller, representation and session.
            method: the request's method.
            fields: its header fields.
            saved_as: the `Content-Disposition` of the response, if it is to have one.

        Raises:
            ApiError: STREAM_RANGE_INVALID when no requested range has a byte of the file in it.
        """
        headers, request_id = self._headers[request.is_start_applied], ""
        if self._adds_request_id:
            given = fields.get(b"x-request-id")
            request_id = accept_request_id(given.decode("latin-1")) if given else new_id()
            headers = (*headers, (b"x-request-id", request_id.encode()))
        if saved_as is not None:
            headers = (*headers, (b"content-disposition", saved_as.encode()))
        representation = request.representation
        transfer = Transfer(
            self._traffic,
            request.caller.user_id,
            representation.source.video_id,
            request_id,
            request.local_session,
        )
        if method == "GET" and (location := representation.location(saved_as)) is not None:
            return _redirect(location, headers, transfer)
        result = _PROCEED
        if not CONDITIONAL_FIELDS.isdisjoint(fields):
            result = evaluate_preconditions(_conditions(fields), representation.validators())
        range_header = fields.get(b"range")
        text = None if range_header is None else range_header.decode("latin-1")
        decision = decide(method, text, result, representation.size)
        return _respond(decision, method, headers, representation, transfer)

    def assemble_range(
        self, request: AuthorizedRequest, range_header: bytes, given_id: bytes | None = None
    ) -> RangeResponse | None:
        """Return the response to a GET for another range of a file.

        None when the response is none with one segment of the file itself: several ranges, an unsatisfiable or ignored
        one, or bytes of a virtual file's header, which are in memory. `given_id` is the request's `X-Request-ID`.
        """
        representation = request.representation
        try:
            ranges = select(range_header.decode("ascii"), representation.size)
        except RangeNotSatisfiableError:
            return None
        if ranges is None or len(ranges) > 1:
            return None
        span = ranges[0]
        segments = representation.segments(span)
        if len(segments) > 1 or segments[0].head:
            return None
        request_id = accept_request_id(given_id.decode("latin-1")) if given_id else new_id()
        transfer = Transfer(
            self._traffic,
            request.caller.user_id,
            representation.source.video_id,
            request_id,
            request.local_session,
        )
        transfer.reaches_end = span.last == representation.size - 1
        fields = (
            (b"x-request-id", request_id.encode()),
            (b"content-range", b"bytes %d-%d/%d" % (span.first, span.last, representation.size)),
        )
        return fields, segments[0], transfer

    def shared_headers(self, request: AuthorizedRequest) -> tuple[RawHeader, ...]:
        """Return the headers that all responses of `assemble_range` for a representation share."""
        return (*request.representation.typed_headers, *self._headers[request.is_start_applied])


def _redirect(location: str, headers: tuple[RawHeader, ...], transfer: Transfer) -> EmptyResponse:
    # Such an address is good for GET only. Not to be cached: each use is authorised here, and it expires soon.
    own = [(b"location", location.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
    transfer.end_without_body(_TEMPORARY_REDIRECT)
    return EmptyResponse(_TEMPORARY_REDIRECT, [*own, *headers])


def _respond(
    decision: Decision, method: str, headers: tuple[RawHeader, ...], representation: Representation, transfer: Transfer
) -> FileBody | EmptyResponse:
    match decision.status:
        case ResponseStatus.PARTIAL if len(decision.ranges) > 1:
            return _multipart(decision, headers, representation, transfer)
        case ResponseStatus.PARTIAL | ResponseStatus.WHOLE if method == "GET":
            return _body(decision, headers, representation, transfer)
        case ResponseStatus.NOT_SATISFIABLE:
            unsatisfied = {"Accept-Ranges": "bytes", "Content-Range": f"bytes */{representation.size}"}
            raise ApiError(ErrorCode.STREAM_RANGE_INVALID, headers=unsatisfied)
        case ResponseStatus.WHOLE:
            described = [*representation.typed_headers, *headers, (b"content-length", b"%d" % representation.size)]
        case ResponseStatus.PRECONDITION_FAILED:
            described = [*representation.headers, *headers, (b"content-length", b"0")]
        case _:
            described = [*representation.headers, *headers]
    status = int(decision.status)
    transfer.end_without_body(status)
    return EmptyResponse(status, described)


def _body(
    decision: Decision, headers: tuple[RawHeader, ...], representation: Representation, transfer: Transfer
) -> FileBody:
    described = [*representation.typed_headers, *headers]
    status = int(decision.status)
    if not decision.ranges:
        return FileBody(status, [*described, (b"content-length", b"0")], representation.file, (), meter=transfer)
    span = decision.ranges[0]
    described.append((b"content-length", b"%d" % span.count))
    transfer.reaches_end = span.last == representation.size - 1
    if decision.status is ResponseStatus.PARTIAL:
        described.append((b"content-range", b"bytes %d-%d/%d" % (span.first, span.last, representation.size)))
    return FileBody(status, described, representation.file, representation.segments(span), meter=transfer)


def _multipart(
    decision: Decision, headers: tuple[RawHeader, ...], representation: Representation, transfer: Transfer
) -> FileBody:
    framed = frame(decision.ranges, representation.size, representation.source.content_type, secrets.token_hex(16))
    described = [
        *representation.headers,
        *headers,
        (b"content-type", framed.content_type.encode()),
        (b"content-length", b"%d" % framed.length),
    ]
    segments = [segment for head, span in framed.parts for segment in representation.segments(span, head)]
    return FileBody(int(decision.status), described, representation.file, segments, tail=framed.tail, meter=transfer)


_TEMPORARY_REDIRECT = 307
_PROCEED = PreconditionResult.PROCEED


def _conditions(fields: Fields) -> Conditions:
    return Conditions(
        if_match=_field(fields, b"if-match"),
        if_none_match=_field(fields, b"if-none-match"),
        if_modified_since=_field(fields, b"if-modified-since"),
        if_unmodified_since=_field(fields, b"if-unmodified-since"),
        if_range=_field(fields, b"if-range"),
    )


def _field(fields: Fields, name: bytes) -> str | None:
    value = fields.get(name)
    return None if value is None else value.decode("latin-1")
