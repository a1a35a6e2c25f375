"""Requests that differ in fields that only trace, and those that only seem to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import httptools
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from zerocopy import RangeAnswer
from zerocopy.repeat import MAX_REQUESTS, RecentRequests, Repeatable
from zerocopy.tests.support import Media, Running, request
from zerocopy.tests.test_repeat import Film

TRACING = frozenset({b"x-request-id", b"traceparent"})


class Recognised(NamedTuple):
    """What the application was asked."""

    range: bytes
    traced: dict[bytes, bytes]


class Application:
    """Records what it is asked, and has no answer."""

    def __init__(self) -> None:
        self.asked: Recognised | None = None

    def __call__(self, value: bytes, traced: Mapping[bytes, bytes]) -> RangeAnswer | None:
        self.asked = Recognised(value, dict(traced))
        return None


def recognise(first: bytes, second: bytes) -> Recognised | None:
    """Return what is asked when the second request comes after the first; None if it is parsed."""
    application = Application()
    remembered = Repeatable.of(first, application, TRACING)
    if remembered is not None:
        assert remembered.begin(second, []) is None
    return application.asked


def proxied(request_id: str, last: int, *more: str, user_agent: str = "player") -> bytes:
    """Return a request as the gateway sends it."""
    first = ("X-Forwarded-For: 192.0.2.1", f"X-Request-ID: {request_id}", f"User-Agent: {user_agent}")
    return request("/film", *first, f"Range: bytes=0-{last}", *more)


def test_each_request_behind_a_proxy_is_answered_with_its_own_id(media: Media, server: Running) -> None:
    film = Film(media)
    film.tracing = TRACING
    server.app = film.app
    with server.connect() as client:
        for number in range(4):
            trace = f"traceparent: 00-{number:032x}-{number:016x}-01"
            client.write(proxied(f"id-{number}", number, trace))
            assert client.read_answer().body == media.content[: number + 1]
    assert film.asked == ["bytes=0-0"]
    assert film.again == [b"bytes=0-1", b"bytes=0-2", b"bytes=0-3"]
    assert [traced[b"x-request-id"] for traced in film.traced] == [b"id-1", b"id-2", b"id-3"]
    assert film.traced[-1][b"traceparent"] == b"00-00000000000000000000000000000003-0000000000000003-01"


def test_ids_are_compared_where_the_application_does_not_name_them(media: Media, server: Running) -> None:
    film = Film(media)
    server.app = film.app
    with server.connect() as client:
        for name in ("one", "one", "two"):
            client.write(proxied(name, 0))
            client.read_answer()
    assert film.asked == ["bytes=0-0", "bytes=0-0"]
    assert film.again == [b"bytes=0-0"]


def test_requests_of_several_viewers_on_one_connection_are_replayed(media: Media, server: Running) -> None:
    film = Film(media)
    film.tracing = TRACING
    server.app = film.app
    with server.connect() as client:
        for _ in range(3):
            for number in range(MAX_REQUESTS):
                client.write(proxied("id", number, user_agent=f"player {number}"))
                assert client.read_answer().body == media.content[: number + 1]
        assert len(film.asked) == MAX_REQUESTS
        assert len(film.again) == 2 * MAX_REQUESTS
        # One more, and the one that was asked for the longest time ago is forgotten.
        client.write(proxied("id", 1, user_agent="another"))
        client.read_answer()
        for number in (1, 0):
            client.write(proxied("id", 1, user_agent=f"player {number}"))
            client.read_answer()
    assert len(film.again) == 2 * MAX_REQUESTS + 1
    assert len(film.asked) == MAX_REQUESTS + 2


def test_request_without_a_further_answer_is_forgotten_and_others_stay() -> None:
    applications = [Application() for _ in range(2)]
    recent = RecentRequests()
    for number, application in enumerate(applications):
        recent.add(proxied("a", 1, user_agent=str(number)), application, TRACING)
    for expected in (Recognised(b"bytes=0-1", {b"x-request-id": b"b"}), None):
        assert recent.begin(proxied("b", 1, user_agent="0"), []) is None
        assert applications[0].asked == expected
        applications[0].asked = None
    assert recent.begin(proxied("c", 1, user_agent="1"), []) is None
    assert applications[1].asked == Recognised(b"bytes=0-1", {b"x-request-id": b"c"})


@pytest.mark.parametrize(
    ("second", "request_id"),
    [
        (proxied("b", 9), b"b"),
        (proxied("", 9), b""),
        (proxied("  b  ", 9), b"b  "),
        (proxied("x: y, Range: bytes=5-6", 9), b"x: y, Range: bytes=5-6"),
    ],
)
def test_value_of_a_named_field_is_the_requests_own(second: bytes, request_id: bytes) -> None:
    assert recognise(proxied("a", 5), second) == Recognised(b"bytes=0-9", {b"x-request-id": request_id})


@pytest.mark.parametrize("user_agent", ["x-request-id: b", "x, X-Request-ID: b", "x\r\n X-Request-ID: b"])
def test_name_within_another_value_is_no_field(user_agent: str) -> None:
    first, second = (proxied(name, 5, user_agent=user_agent) for name in ("a", "c"))
    assert recognise(first, second) == Recognised(b"bytes=0-5", {b"x-request-id": b"c"})
    assert recognise(first, proxied("c", 5, user_agent=user_agent.replace("b", "d"))) is None


def test_named_fields_behind_the_range_and_before_it_keep_their_names() -> None:
    first = request("/", "traceparent: t1", "Range: bytes=0-1", "X-Request-ID: r1")
    second = request("/", "traceparent: t2", "Range: bytes=2-3", "X-Request-ID: r2")
    expected = Recognised(b"bytes=2-3", {b"traceparent": b"t2", b"x-request-id": b"r2"})
    assert recognise(first, second) == expected


@pytest.mark.parametrize(
    "second",
    [
        proxied("b", 9, user_agent="browser"),
        proxied("b", 9, "Cookie: marquee_access=other"),
        proxied("b", 9, "X-Request-ID: c"),
        proxied("b", 9, "If-Range: x"),
        proxied("b", 9).replace(b"192.0.2.1", b"192.0.2.2"),
        proxied("b", 9).replace(b"/film", b"/file"),
        proxied("b", 9).replace(b"GET", b"PUT"),
        proxied("b", 9).replace(b"X-Request-ID", b"x-request-id"),
        proxied("b\r\nCookie: a=b", 9),
        proxied("b\nCookie: a=b", 9),
        proxied("b\rCookie: a=b", 9),
        proxied("b\r\n c", 9),
        proxied("b\r\n\tc", 9),
        proxied("b\tc", 9),
        proxied("b\x00c", 9),
        proxied("b\x80c", 9),
        proxied("b\r\nX-Request-ID: c", 9),
        proxied("b", 9) + b"GET /",
        proxied("b", 9)[:-1],
        proxied("b", 9)[:60],
        proxied("b", 9) + proxied("b", 9),
        request("/film", "X-Request-ID: b", "X-Forwarded-For: 192.0.2.1", "User-Agent: player", "Range: bytes=0-9"),
        request("/film", "X-Forwarded-For: 192.0.2.1", "User-Agent: player", "Range: bytes=0-9"),
        b"",
    ],
)
def test_any_other_difference_is_parsed(second: bytes) -> None:
    assert recognise(proxied("a", 5), proxied("b", 9)) is not None
    assert recognise(proxied("a", 5), second) is None


@pytest.mark.parametrize(
    "first",
    [
        proxied("a", 5, "X-Request-ID: b"),
        proxied("a", 5, "x-REQUEST-id: b"),
        proxied("a\r\n b", 5),
        proxied("a\r\n\tb", 5),
        proxied("a\tb", 5),
        proxied("a\t", 5),
        proxied("a\x80", 5),
        proxied("a", 5, user_agent="x\ny"),
        proxied("a", 5, user_agent="x\ry"),
        proxied("a", 5, user_agent="\nX-Request-ID: b"),
        proxied("a", 5, user_agent="\rX-Request-ID: b"),
        proxied("Range: bytes=5-6", 5),
        proxied("a", 5, "traceparent: b", "traceparent: b"),
    ],
)
def test_request_with_an_ambiguous_named_field_is_not_recognised(first: bytes) -> None:
    assert recognise(first, first) is None


class Reference:
    """Compares requests the slow way: what the server's parser finds in each."""

    def __init__(self, data: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.is_complete = False
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        assert self.is_complete
        self.line = parser.get_method(), self.url, parser.get_http_version()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_message_complete(self) -> None:
        assert not self.is_complete
        self.is_complete = True

    def rest(self) -> list[tuple[bytes, bytes]]:
        """Return the fields whose values may not differ, and the names of the others."""
        return [(name, b"" if name in {*TRACING, b"range"} else value) for name, value in self.fields]


NAMES = st.sampled_from(["X-Request-ID", "x-request-id", "Traceparent", "Accept", "Cookie", "X-Request-ID2", "Range"])
VALUES = st.one_of(
    st.sampled_from(["", "a", "x-request-id: b", "Range: c", "bytes=1-2", "a\r\n b", "a\tb", "\xe9"]),
    st.text(st.characters(min_codepoint=0x1F, max_codepoint=0x80), max_size=8),
)
COLONS = st.sampled_from([": ", ":", ":\t", " : ", ":  "])
ENDS = st.sampled_from(["\r\n"] * 8 + ["\n", "\r", "\r\n ", "\r\n\r\n"])
LINES = st.builds("{}{}{}{}".format, NAMES, COLONS, VALUES, ENDS)
RANGES = st.builds("Range: {}\r\n".format, st.sampled_from(["bytes=1-2", "bytes=3-", "", "x"]))
IDS = st.builds("X-Request-ID: {}\r\n".format, st.sampled_from(["a", "b", " c ", ""]))


def whole(lines: list[str]) -> bytes:
    return ("GET /film HTTP/1.1\r\nHost: x\r\n" + "".join(lines) + "\r\n").encode("latin-1")


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return two requests that have most lines in common."""
    first = draw(st.permutations([draw(RANGES), *draw(st.lists(st.one_of(IDS, LINES), max_size=4))]))
    second = list(first)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(second)))
        removed = draw(st.integers(0, 1))
        second[at : at + removed] = draw(st.lists(st.one_of(IDS, RANGES, LINES), max_size=1))
    data = bytearray(whole(second))
    if draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.sampled_from(b"\r\n\t :aR\x00\x80"))
    return whole(first), bytes(data)


@settings(deadline=None)
@given(pair=pairs())
def test_what_is_recognised_differs_in_nothing_else_for_the_parser(pair: tuple[bytes, bytes]) -> None:
    first, second = pair
    asked = recognise(first, second)
    event("recognised" if asked else "parsed")
    if asked is None:
        return
    try:
        known = Reference(first)
    except httptools.HttpParserError:
        # The server has refused such a request, and never remembers it.
        return
    reference = Reference(second)
    assert reference.line == known.line
    assert reference.rest() == known.rest()
    own = [(name, value) for name, value in reference.fields if name in {*TRACING, b"range"}]
    assert len(dict(own)) == len(own)
    assert dict(own) == {b"range": asked.range, **asked.traced}


@settings(deadline=None)
@given(
    ids=st.tuples(*[st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"))] * 4),
    order=st.permutations(["Range", "X-Request-ID", "traceparent", "Accept"]),
)
def test_every_request_that_differs_in_named_values_only_is_recognised(ids: tuple[str, ...], order: list[str]) -> None:
    def made(request_id: str, trace: str, last: int) -> bytes:
        values = {"X-Request-ID": request_id, "traceparent": trace, "Range": f"bytes=0-{last}", "Accept": "*/*"}
        return request("/film", *(f"{name}: {values[name]}" for name in order))

    asked = recognise(made(ids[0], ids[1], 5), made(ids[2], ids[3], 7))
    assert asked == Recognised(b"bytes=0-7", {b"x-request-id": ids[2].encode(), b"traceparent": ids[3].encode()})
