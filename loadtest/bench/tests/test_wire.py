from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.wire import BadResponseError, parse_header, random_spans, request_head, span

HEADER = b"HTTP/1.1 206 Partial Content\r\nServer: x\r\ncontent-LENGTH:  12\r\nContent-Range: bytes 0-11/99\r\n\r\n"


def test_a_request_is_whole_and_asks_for_the_range() -> None:
    request = request_head("/film.mp4", {"Authorization": "Bearer x"}) + span(10, 5).ending
    assert request == (
        b"GET /film.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nRange: bytes=10-14\r\n\r\n"
    )


def test_an_open_range_has_no_end() -> None:
    assert span(10, 5, is_open=True).ending == b"10-\r\n\r\n"


@given(file=st.integers(1, 1 << 40), length=st.integers(1, 1 << 30), seed=st.integers())
def test_random_ranges_lie_inside_the_file(file: int, length: int, seed: int) -> None:
    if length > file:
        with pytest.raises(ValueError, match="does not fit"):
            random_spans(file, length, 3, seed)
        return
    for one in random_spans(file, length, 3, seed):
        assert one.length == length
        assert 0 <= one.first <= file - length


@given(file=st.integers(1, 1 << 40), seed=st.integers())
def test_open_ranges_mean_the_rest_of_the_file(file: int, seed: int) -> None:
    for one in random_spans(file, None, 3, seed):
        assert one.first + one.length == file
        assert one.length >= file // 2


def test_all_servers_get_the_same_ranges() -> None:
    assert random_spans(1000, 10, 50, 7) == random_spans(1000, 10, 50, 7)
    assert random_spans(1000, 10, 50, 7) != random_spans(1000, 10, 50, 8)


@given(body=st.binary(max_size=50))
def test_a_header_is_read_and_its_end_is_found(body: bytes) -> None:
    assert parse_header(HEADER + body) == (206, 12, len(HEADER))


@given(cut=st.integers(0, len(HEADER) - 1))
def test_a_part_of_a_header_is_not_read_yet(cut: int) -> None:
    assert parse_header(HEADER[:cut]) is None


@pytest.mark.parametrize(
    "block",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 xyz\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: one\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        b"\r\n\r\n",
        b"x" * 20_000,
    ],
)
def test_response_without_length_is_refused(block: bytes) -> None:
    with pytest.raises(BadResponseError):
        parse_header(block)


@given(block=st.binary())
def test_no_bytes_break_the_parser(block: bytes) -> None:
    try:
        parsed = parse_header(b"HTTP/1.1 " + block)
    except BadResponseError:
        return
    assert parsed is None or parsed[2] <= len(block) + 9
