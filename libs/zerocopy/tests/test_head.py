"""Status line and header fields of responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocopy import head
from zerocopy.head import Head, render


def rendered(
    *headers: tuple[bytes, bytes],
    status: int = 200,
    method: str = "GET",
    http_version: str = "1.1",
    keeps_alive: bool = True,
) -> Head:
    return render(status, headers, method=method, http_version=http_version, keeps_alive=keeps_alive)


def test_names_are_lower_case_and_values_untouched() -> None:
    assert rendered((b"Content-Length", b"5"), (b"X-Name", b" a:\tb\xff ")).data == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-name:  a:\tb\xff \r\n\r\n"
    )


@pytest.mark.parametrize(
    ("headers", "method", "status", "version", "length", "is_chunked", "ends_with_connection"),
    [
        ([(b"content-length", b"7")], "GET", 200, "1.1", 7, False, False),
        ([(b"content-length", b"7")], "GET", 200, "1.0", 7, False, False),
        ([], "GET", 200, "1.1", 0, True, False),
        ([], "GET", 200, "1.0", 0, False, True),
        ([], "HEAD", 200, "1.1", 0, False, False),
        ([], "GET", 204, "1.1", 0, False, False),
        ([], "GET", 304, "1.0", 0, False, False),
        ([(b"transfer-encoding", b"Chunked")], "GET", 200, "1.1", 0, True, False),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"7")], "GET", 200, "1.1", 0, True, False),
    ],
)
def test_head_frames_the_body(
    headers: list[tuple[bytes, bytes]],
    method: str,
    status: int,
    version: str,
    length: int,
    *,
    is_chunked: bool,
    ends_with_connection: bool,
) -> None:
    got = rendered(*headers, status=status, method=method, http_version=version)
    assert (got.length, got.is_chunked, got.ends_with_connection) == (length, is_chunked, ends_with_connection)
    assert (b"transfer-encoding: chunked" in got.data.lower()) is is_chunked


@pytest.mark.parametrize(
    ("value", "keeps_alive", "stays"),
    [
        (None, True, True),
        (None, False, False),
        (b"close", True, False),
        (b"x, Close ,y", True, False),
        (b"x", True, True),
    ],
)
def test_whether_the_connection_stays_open(value: bytes | None, *, keeps_alive: bool, stays: bool) -> None:
    headers = [] if value is None else [(b"Connection", value)]
    got = rendered(*headers, keeps_alive=keeps_alive)
    assert got.keeps_alive is stays
    assert (b"close" in got.data.lower()) is not stays


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=4))
def test_no_field_can_become_two(headers: list[tuple[bytes, bytes]]) -> None:
    headers = [(name, value) for name, value in headers if name.lower() not in {b"content-length", b"connection"}]
    try:
        lines = rendered(*headers, method="HEAD").data.split(b"\r\n")
    except RuntimeError:
        return
    assert len(lines) == len(headers) + 3
    for line, (name, value) in zip(lines[1:], headers, strict=False):
        assert line == name.lower() + b": " + value


def test_made_up_names_are_not_remembered_for_ever() -> None:
    for number in range(3000):
        rendered((b"x-%d" % number, b""))
    assert len(head._LABELS) <= head._MAX_LABELS
    assert b"x-2999: yes" in rendered((b"x-2999", b"yes")).data
