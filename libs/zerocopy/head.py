"""Status line and header fields of a response as bytes, and what they say of its framing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE

Headers = Iterable[tuple[bytes, bytes]]


class Head(NamedTuple):
    """What precedes a body on the wire."""

    lines: list[bytes]
    """Status line and fields, without the empty line behind them."""
    length: int | None
    """What Content-Length promises, in bytes."""
    is_chunked: bool
    """Whether Transfer-Encoding says so."""
    says_close: bool
    """Whether `Connection: close` is among the fields."""


def render(status: int, headers: Headers) -> Head:
    """Writes a response's head (RFC 9112, sections 4 and 5).

    Raises:
        RuntimeError: a field has characters that would end it early.
    """
    lines = [STATUS_LINE[status]]
    names = []
    values = []
    length: int | None = None
    is_chunked = says_close = False
    for name, value in headers:
        lower = name.lower()
        names.append(name)
        values.append(value)
        lines += (lower, b": ", value, b"\r\n")
        if lower == b"content-length":
            length = int(value)
        elif lower == b"transfer-encoding":
            is_chunked = is_chunked or value.lower() == b"chunked"
        elif lower == b"connection":
            says_close = says_close or b"close" in [token.strip() for token in value.lower().split(b",")]
    # All at once: one search is what costs.
    if HEADER_RE.search(b"".join(names)):
        raise RuntimeError("Invalid HTTP header name.")
    if HEADER_VALUE_RE.search(b"".join(values)):
        raise RuntimeError("Invalid HTTP header value.")
    return Head(lines, length, is_chunked, says_close)
