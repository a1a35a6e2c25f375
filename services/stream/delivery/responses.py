"""Turns a request for bytes and what it asks for into an answer (RFC 9110)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from kit.errors import ApiError, ErrorCode
from services.stream.delivery.file_response import EmptyResponse, FileBody, RawHeader
from services.stream.delivery.multipart import frame
from services.stream.delivery.preconditions import Conditions, PreconditionResult, evaluate_preconditions
from services.stream.delivery.representation import Representation
from services.stream.delivery.transfers import Transfer
from services.stream.domain import Decision, Outcome, decide

START_APPLIED: RawHeader = (b"start-applied", b"true")
START_IGNORED: RawHeader = (b"start-applied", b"false")
"""Says of a request with `start` whether the answer begins there."""

Fields = Mapping[bytes, bytes]
"""A request's header fields, by lower-case name."""


def fields_of(headers: Iterable[RawHeader]) -> dict[bytes, bytes]:
    """Header fields by name. Several lines are one list (RFC 9110, 5.3), which makes a single value malformed."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def answer(
    method: str,
    fields: Fields,
    shown: Representation,
    transfer: Transfer,
    *,
    headers: Sequence[RawHeader] = (),
    saved_as: str | None = None,
) -> FileBody | EmptyResponse:
    """The answer to a GET or HEAD.

    Args:
        method: the request's method.
        fields: its header fields.
        shown: what is asked for.
        transfer: watches the answer.
        headers: more headers of the answer.
        saved_as: its `Content-Disposition`, if it is to have one.

    Raises:
        ApiError: STREAM_RANGE_INVALID when no asked range has a byte in it.
    """
    if saved_as is not None:
        headers = [*headers, (b"content-disposition", saved_as.encode())]
    if method == "GET" and (location := shown.location(saved_as)) is not None:
        transfer.answered(_TEMPORARY_REDIRECT)
        # Such an address is good for GET only. Not to be kept: each use is authorised here, and it ends soon.
        elsewhere = [(b"location", location.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
        return EmptyResponse(_TEMPORARY_REDIRECT, [*elsewhere, *headers])
    verdict = (
        _PROCEED if _CONDITIONAL.isdisjoint(fields) else evaluate_preconditions(_conditions(fields), shown.validators())
    )
    decision = decide(method, _field(fields, b"range"), verdict, shown.size)
    match decision.outcome:
        case Outcome.PARTIAL if len(decision.ranges) > 1:
            return _multipart(decision, headers, shown, transfer)
        case Outcome.PARTIAL | Outcome.WHOLE if method == "GET":
            return _body(decision, headers, shown, transfer)
        case Outcome.NOT_SATISFIABLE:
            unsatisfied = {"Accept-Ranges": "bytes", "Content-Range": f"bytes */{shown.size}"}
            raise ApiError(ErrorCode.STREAM_RANGE_INVALID, headers=unsatisfied)
        case Outcome.WHOLE:
            described = [*shown.typed_headers, *headers, (b"content-length", b"%d" % shown.size)]
        case Outcome.PRECONDITION_FAILED:
            described = [*shown.headers, *headers, (b"content-length", b"0")]
        case _:
            described = [*shown.headers, *headers]
    status = int(decision.outcome)
    transfer.answered(status)
    return EmptyResponse(status, described)


def _body(decision: Decision, headers: Sequence[RawHeader], shown: Representation, transfer: Transfer) -> FileBody:
    described = [*shown.typed_headers, *headers]
    if not decision.ranges:
        return FileBody(int(decision.outcome), [*described, (b"content-length", b"0")], shown.file, (), meter=transfer)
    span = decision.ranges[0]
    described.append((b"content-length", b"%d" % span.count))
    transfer.reaches_end = span.last == shown.size - 1
    if decision.outcome is Outcome.PARTIAL:
        described.append((b"content-range", b"bytes %d-%d/%d" % (span.first, span.last, shown.size)))
    return FileBody(int(decision.outcome), described, shown.file, shown.parts(span), meter=transfer)


def _multipart(decision: Decision, headers: Sequence[RawHeader], shown: Representation, transfer: Transfer) -> FileBody:
    framed = frame(decision.ranges, shown.size, shown.source.content_type, secrets.token_hex(16))
    described = [
        *shown.headers,
        *headers,
        (b"content-type", framed.content_type.encode()),
        (b"content-length", b"%d" % framed.length),
    ]
    parts = [part for head, span in framed.parts for part in shown.parts(span, head)]
    return FileBody(int(decision.outcome), described, shown.file, parts, tail=framed.tail, meter=transfer)


_TEMPORARY_REDIRECT = 307
_PROCEED = PreconditionResult.PROCEED
_CONDITIONAL = frozenset({b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"})


def is_conditional(fields: Fields) -> bool:
    """Whether a request has a precondition (RFC 9110, 13.1)."""
    return not _CONDITIONAL.isdisjoint(fields)


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
