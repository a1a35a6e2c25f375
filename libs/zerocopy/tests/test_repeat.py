"""Requests that are repeated with another range, and those that only look like it."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from zerocopy import HasFileno, RangeAnswer, Residency
from zerocopy.tests.support import Client, FakeResidency, Media, Running, request, serving, start, until

MIB = 1 << 20


class Part:
    """A part of a file as an answer, which records the calls of its methods."""

    status = 206

    def __init__(self, media: Media, headers: list[tuple[bytes, bytes]], offset: int, count: int) -> None:
        self.headers = headers
        self.fields = [(b"x-first", b"%d" % offset)]
        self.file: HasFileno = media
        self.offset = offset
        self.count = count
        self.residency: Residency | None = media.residency
        self.bytes = 0
        self.outcome = ""
        self.abort: Callable[[], None] | None = None

    def sent(self, count: int) -> None:
        self.bytes += count

    def waits(self, abort: Callable[[], None]) -> None:
        self.abort = abort

    def end(self, *, completed: bool) -> None:
        assert not self.outcome
        self.outcome = "completed" if completed else "broken off"


class Film:
    """An application that offers to answer again, and records who answered what."""

    def __init__(self, media: Media) -> None:
        self.media = media
        self.headers = [(b"content-type", b"video/mp4")]
        self.asked: list[str] = []
        """Ranges that came the ordinary way."""
        self.again: list[bytes] = []
        """Ranges that came again."""
        self.tracing: frozenset[bytes] = frozenset()
        self.traced: list[dict[bytes, bytes]] = []
        """The fields of `tracing` that came with them."""
        self.answers: list[Part] = []
        self.decline = False
        self.fail: Exception | None = None

    async def app(self, scope: Any, _receive: Any, send: Any) -> None:
        value = dict(scope["headers"]).get(b"range", b"bytes=0-0")
        self.asked.append(value.decode())
        first, last = span(value)
        await send(start(("content-length", str(last - first + 1)), status=206))
        await send(self.media.part(first, last - first + 1) | {"again": self.answer, "tracing": self.tracing})

    def answer(self, value: bytes, traced: Mapping[bytes, bytes]) -> RangeAnswer | None:
        if self.fail is not None:
            raise self.fail
        if self.decline:
            return None
        self.again.append(value)
        self.traced.append(dict(traced))
        first, last = span(value)
        made = Part(self.media, self.headers, first, last - first + 1)
        self.answers.append(made)
        return made


def span(value: bytes) -> tuple[int, int]:
    first, last = value.removeprefix(b"bytes=").split(b"-")
    return int(first), int(last)


def ranged(first: int, last: int, *headers: str) -> bytes:
    return request("/film", "User-Agent: player", f"Range: bytes={first}-{last}", *headers)


@pytest.fixture
def film(media: Media, server: Running) -> Film:
    made = Film(media)
    server.app = made.app
    return made


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with server.connect() as made:
        yield made


def test_only_the_first_of_many_ranges_goes_through_the_application(film: Film, client: Client) -> None:
    for first, count in ((5, 10), (0, 1), (MIB, 2 * MIB), (7, 100_000)):
        client.write(ranged(first, first + count - 1))
        answer = client.read_answer()
        assert answer.status == 206
        assert answer.body == film.media.content[first : first + count]
    assert film.asked == ["bytes=5-14"]
    assert film.again == [b"bytes=0-0", b"bytes=1048576-3145727", b"bytes=7-100006"]
    until(lambda: [part.outcome for part in film.answers] == ["completed"] * 3)
    assert [part.bytes for part in film.answers] == [1, 2 * MIB, 100_000]


def test_a_repeated_answer_has_all_its_fields_and_the_servers(media: Media) -> None:
    film = Film(media)
    with serving(film.app, headers=[("x-server", "one")]) as server, server.connect() as client:
        for first in (0, 3):
            client.write(ranged(first, first + 1))
            answer = client.read_answer()
        assert answer.headers == {
            "x-server": "one",
            "content-type": "video/mp4",
            "x-first": "3",
            "content-length": "2",
        }
        film.headers = [(b"content-type", b"video/webm")]
        client.write(ranged(9, 9))
        assert client.read_answer().headers["content-type"] == "video/webm"
        assert film.again == [b"bytes=3-4", b"bytes=9-9"]


@pytest.mark.parametrize(
    "other",
    [
        request("/other", "User-Agent: player", "Range: bytes=0-0"),
        request("/film", "User-Agent: browser", "Range: bytes=0-0"),
        request("/film", "User-Agent: player", "Range: bytes=0-0", "Cookie: a=b"),
        request("/film", "User-Agent: player", "Range: bytes=0-0", "If-Range: x"),
        request("/film", "User-Agent: player", "range: bytes=0-0"),
        request("/film", "User-Agent: player"),
        request("/film", "User-Agent: player", "Range: bytes=0-0", method="HEAD"),
        request("/film", "User-Agent: player", "Range: bytes=0-0", version="1.0"),
    ],
)
def test_any_other_request_goes_through_the_application(film: Film, client: Client, other: bytes) -> None:
    client.write(ranged(1, 2))
    client.read_answer()
    client.write(other)
    client.read_head()
    assert len(film.asked) == 2
    assert film.again == []


def test_a_connection_that_ends_with_the_request_is_not_remembered(film: Film, client: Client) -> None:
    client.write(ranged(1, 2, "Connection: close"))
    assert client.read_answer().body == film.media.content[1:3]
    assert client.is_at_end()


def test_a_request_in_pieces_and_one_with_another_behind_it_go_through_the_application(
    film: Film, client: Client, server: Running
) -> None:
    client.write(ranged(1, 2))
    client.read_answer()
    whole = ranged(3, 4)
    client.write(whole[:30])
    until(lambda: server.call(lambda: not server.connections()[0].is_between_requests))
    client.write(whole[30:])
    assert client.read_answer().body == film.media.content[3:5]
    client.write(ranged(5, 6) + ranged(7, 8))
    assert client.read_answer().body == film.media.content[5:7]
    assert client.read_answer().body == film.media.content[7:9]
    client.write(ranged(9, 9))
    assert client.read_answer().body == film.media.content[9:10]
    assert film.asked == ["bytes=1-2", "bytes=3-4", "bytes=5-6", "bytes=7-8", "bytes=9-9"]


def test_requests_sent_ahead_of_a_repeated_answer_are_answered_in_their_order(film: Film, server: Running) -> None:
    with server.connect(receive_bytes=4096) as client:
        client.write(ranged(0, 0))
        client.read_answer()
        client.write(ranged(0, 4 * MIB - 1))
        until(lambda: film.answers and film.answers[0].abort)
        client.write(ranged(1, 3))
        client.write(request("/film", "User-Agent: else", "Range: bytes=8-9"))
        assert client.read_answer().body == film.media.content[: 4 * MIB]
        assert client.read_answer().body == film.media.content[1:4]
        assert client.read_answer().body == film.media.content[8:10]
    assert film.answers[0].outcome == "completed"


def test_again_callback_without_answer_falls_back_to_the_application(film: Film, client: Client) -> None:
    client.write(ranged(0, 0))
    client.read_answer()
    film.decline = True
    client.write(ranged(4, 5))
    assert client.read_answer().body == film.media.content[4:6]
    film.decline = False
    client.write(ranged(6, 7))
    assert client.read_answer().body == film.media.content[6:8]
    assert film.asked == ["bytes=0-0", "bytes=4-5"]
    assert film.again == [b"bytes=6-7"]


def test_failing_again_callback_falls_back_to_the_application(
    film: Film, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.write(ranged(0, 0))
    client.read_answer()
    film.fail = ValueError("of no use")
    client.write(ranged(4, 5))
    assert client.read_answer().body == film.media.content[4:6]
    assert "of no use" in caplog.text


def test_a_file_that_can_not_be_read_is_left_to_the_application(
    film: Film, client: Client, residency: FakeResidency
) -> None:
    def fail(_offset: int) -> bool:
        raise OSError(errno.EIO, "the disk is broken")

    client.write(ranged(0, 0))
    client.read_answer()
    residency.resident = fail
    film.media.residency = residency
    client.write(ranged(20, 29))
    assert client.read_head()[0] == 500
    assert film.asked == ["bytes=0-0", "bytes=20-29"]
    assert film.answers[0].outcome == ""


def test_a_file_that_ends_early_ends_the_connection(film: Film, client: Client, residency: FakeResidency) -> None:
    client.write(ranged(0, 0))
    residency.resident = lambda offset: offset < MIB
    client.read_answer()
    residency.gate.clear()
    film.media.residency = residency
    client.write(ranged(0, 3 * MIB - 1))
    assert residency.entered.wait(60)
    os.truncate(film.media.path, MIB)
    residency.gate.set()
    client.read_head()
    assert len(client.read_all()) == MIB
    until(lambda: film.answers[0].outcome == "broken off")
    assert film.answers[0].bytes == MIB


@pytest.mark.parametrize("way", [Client.vanish, lambda client: client.sock.close()])
def test_a_client_that_is_gone_ends_a_repeated_answer(
    film: Film, server: Running, way: Callable[[Client], None]
) -> None:
    client = server.connect(receive_bytes=4096)
    client.write(ranged(0, 0))
    client.read_answer()
    client.write(ranged(0, 4 * MIB - 1))
    until(lambda: film.answers and film.answers[0].abort)
    way(client)
    until(lambda: film.answers[0].outcome == "broken off")
    until(lambda: not server.connections())


def test_a_client_that_sends_no_more_gets_a_repeated_answer_whole(film: Film, server: Running) -> None:
    with server.connect(receive_bytes=4096) as client:
        client.write(ranged(0, 0))
        client.read_answer()
        client.write(ranged(0, 4 * MIB - 1))
        until(lambda: film.answers and film.answers[0].abort)
        client.sock.shutdown(1)
        assert client.read_answer().body == film.media.content[: 4 * MIB]
        assert client.is_at_end()


def test_an_application_can_end_a_repeated_answer(film: Film, server: Running) -> None:
    with server.connect(receive_bytes=4096) as client:
        client.write(ranged(0, 0))
        client.read_answer()
        client.write(ranged(0, 4 * MIB - 1))
        until(lambda: film.answers and film.answers[0].abort)
        abort = film.answers[0].abort
        assert abort is not None
        server.call(abort)
        assert len(client.read_all()) < 4 * MIB
        until(lambda: film.answers[0].outcome == "broken off")


def test_a_server_that_ends_finishes_a_repeated_answer_and_takes_no_more(film: Film, server: Running) -> None:
    with server.connect(receive_bytes=4096) as client:
        client.write(ranged(0, 0))
        client.read_answer()
        client.write(ranged(0, 4 * MIB - 1))
        until(lambda: film.answers and film.answers[0].abort)
        server.call(server.connections()[0].shutdown)
        assert client.read_answer().body == film.media.content[: 4 * MIB]
        assert client.is_at_end()


def test_a_server_that_closes_its_connections_closes_repeated_ones(film: Film, server: Running) -> None:
    def say_close() -> None:
        server.server.server_state.default_headers = [(b"connection", b"close")]

    with server.connect() as client:
        client.write(ranged(0, 0))
        client.read_answer()
        server.call(say_close)
        client.write(ranged(1, 2))
        answer = client.read_answer()
        assert answer.headers["connection"] == "close"
        assert answer.body == film.media.content[1:3]
        assert client.is_at_end()


def test_a_connection_that_repeats_is_closed_when_it_has_been_idle(media: Media) -> None:
    film = Film(media)
    with serving(film.app, timeout_keep_alive=1) as server, server.connect() as client:
        for first in range(3):
            client.write(ranged(first, first))
            client.read_answer()
        assert film.again == [b"bytes=1-1", b"bytes=2-2"]
        assert client.is_at_end()


@pytest.mark.parametrize(("options", "level"), [({"limit_concurrency": 100}, "WARNING"), ({}, "INFO")])
def test_server_that_logs_or_limits_requests_parses_each(
    media: Media, options: dict[str, Any], level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, "uvicorn.access")
    logger = logging.getLogger("uvicorn.access")
    film = Film(media)
    with serving(film.app, **options) as server:
        logger.addHandler(caplog.handler)
        try:
            with server.connect() as client:
                for first in range(3):
                    client.write(ranged(first, first))
                    assert client.read_answer().body == film.media.content[first : first + 1]
        finally:
            logger.removeHandler(caplog.handler)
    assert len(film.asked) == 3
