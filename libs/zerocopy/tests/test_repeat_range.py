"""Which requests are remembered, and how far the value of a range reaches."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocopy import RangeAnswer
from zerocopy.repeat import Repeatable
from zerocopy.tests.support import request

NAMES = st.sampled_from(["accept", "Cookie", "X-Range", "Arrange", "priority", "Range", "If-Range"])
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
FIELDS = st.lists(st.builds("{}: {}".format, NAMES, VALUES), max_size=5)


def never(_value: bytes, _traced: Mapping[bytes, bytes]) -> RangeAnswer | None:
    raise AssertionError("it was asked")


class Noted:
    """What was asked again: the range, and the fields that may differ."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, dict[bytes, bytes]]] = []

    def __call__(self, value: bytes, traced: Mapping[bytes, bytes]) -> RangeAnswer | None:
        self.seen.append((value, dict(traced)))
        return None


@settings(deadline=None)
@given(before=FIELDS, after=FIELDS, value=VALUES)
def test_only_requests_with_one_range_are_remembered(before: list[str], after: list[str], value: str) -> None:
    sent = request("/film", *before, f"Range: {value}", *after)
    others = [field for field in (*before, *after) if "range:" in field.lower()]
    if others or "range:" in value.lower():
        assert Repeatable.of(sent, never) is None
        return
    noted = Noted()
    remembered = Repeatable.of(sent, noted)
    assert remembered is not None
    assert remembered.begin(sent, []) is None
    assert remembered.begin(request("/film", *before, "Range: bytes=1-2", *after), []) is None
    assert noted.seen == [(value.encode(), {}), (b"bytes=1-2", {})]


@settings(deadline=None)
@given(before=FIELDS, after=FIELDS, other=st.binary(max_size=60))
def test_a_value_never_reaches_beyond_its_line(before: list[str], after: list[str], other: bytes) -> None:
    first = request("/film", *before, "Range: bytes=0-1", *after)
    noted = Noted()
    remembered = Repeatable.of(first, noted)
    if remembered is not None:
        head, _, tail = first.partition(b"bytes=0-1")
        remembered.begin(head + other + tail, [])
        assert all(byte in range(0x20, 0x7F) for value, _ in noted.seen for byte in value)
        assert noted.seen in ([], [(other, {})])


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nRange: bytes=0-1\r\n ,4-5\r\n\r\n",
        b"GET / HTTP/1.1\r\nRange: bytes=0-1\r\n\tx\r\n\r\n",
        b"GET / HTTP/1.1\nRange: bytes=0-1\n\n",
        b"GET / HTTP/1.1\r\nRange: bytes=0-1\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nRange: bytes=0-1\r\n",
        b"GET / HTTP/1.1\r\nRange: bytes=0-1\r\nX: \nRange: bytes=3-4\r\n\r\n",
        b"",
    ],
)
def test_ambiguous_request_is_not_remembered(sent: bytes) -> None:
    assert Repeatable.of(sent, never) is None
