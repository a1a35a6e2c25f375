"""Write status line and header fields of a response, and derive from them how its body is framed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE

Headers = Iterable[tuple[bytes, bytes]]

_WITHOUT_BODY = frozenset({204, 304})
_FRAMING = frozenset({b"connection: ", b"content-length: ", b"transfer-encoding: "})

_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})

# Not allowed in field values (RFC 9110, 5.5): a line end in one would begin another field for the client.
_CONTROLS = bytes([*range(9), *range(10, 32), 127])

# Field names as they are written, by the spelling that applications use: each is checked once.
_LABELS: dict[bytes, bytes] = {}
_MAX_LABELS = 1000


class Head(NamedTuple):
    """Status line and header fields of a response."""

    data: bytes
    """The bytes on the wire."""
    length: int
    """The body's length in bytes according to Content-Length; 0 without that field."""
    is_chunked: bool
    """Whether the body is in chunks (RFC 9112, 7.1)."""
    ends_with_connection: bool
    """Whether only the connection's end is the body's end (RFC 9112, 6.3, last case)."""
    keeps_alive: bool
    """Whether another response may follow."""


def render(status: int, headers: Headers, *, method: str, http_version: str, keeps_alive: bool) -> Head:
    """Write status line and header fields (RFC 9112, sections 4 to 6 and 9.6).

    Args:
        status: the status code.
        headers: the fields that the application and the server set.
        method: of the request.
        http_version: of the request; chunks are for 1.1 only.
        keeps_alive: whether the connection may stay open; a field can say otherwise.

    Raises:
        RuntimeError: a field has characters that are not allowed.
    """
    length: int | None = None
    is_chunked = says_close = ends_with_connection = False
    lines = [STATUS_LINE[status][:-2]]
    for name, value in headers:
        label = _LABELS.get(name) or _label(name)
        lines.append(label + value)
        if label in _FRAMING:
            if label == b"content-length: ":
                length = int(value)
            elif label == b"transfer-encoding: ":
                is_chunked = is_chunked or value.lower() == b"chunked"
            else:
                says_close = says_close or _says_close(value)
    if length is None and not is_chunked and method != "HEAD" and status not in _WITHOUT_BODY:
        if http_version == "1.1":
            is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        else:
            ends_with_connection = True
    if says_close:
        keeps_alive = False
    elif not keeps_alive:
        lines.append(b"connection: close")
    lines += (b"", b"")
    data = b"\r\n".join(lines)
    _check(data, len(lines) - 1)
    return Head(data, 0 if is_chunked else length or 0, is_chunked, ends_with_connection, keeps_alive)


def begin(status: int, headers: Headers) -> Head:
    """Write the reusable beginning of an HTTP/1.1 head; Content-Length and the empty line have to follow.

    Raises:
        RuntimeError: a field has characters that are not allowed, or is about framing.
    """
    keeps_alive = True
    for name, value in headers:
        if name.lower() in _LENGTHS:
            raise RuntimeError("The application must not set the length of a part of a file.")
        keeps_alive = keeps_alive and not (name.lower() == b"connection" and _says_close(value))
    return Head(STATUS_LINE[status] + fields(headers), 0, False, False, keeps_alive)


def fields(headers: Headers) -> bytes:
    """Write header fields, each with the end of its line.

    Raises:
        RuntimeError: one has characters that are not allowed.
    """
    lines = [(_LABELS.get(name) or _label(name)) + value for name, value in headers]
    lines.append(b"")
    data = b"\r\n".join(lines)
    _check(data, len(lines) - 1)
    return data


def _says_close(value: bytes) -> bool:
    return b"close" in [token.strip() for token in value.lower().split(b",")]


def _check(data: bytes, lines: int) -> None:
    """Check that a head contains the ends of its own lines and no other control character."""
    if len(data) - len(data.translate(None, _CONTROLS)) != 2 * lines:
        raise RuntimeError("Invalid HTTP header value.")


def _label(name: bytes) -> bytes:
    if not name or HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    label = name.lower() + b": "
    if len(_LABELS) < _MAX_LABELS:
        _LABELS[name] = label
    return label
