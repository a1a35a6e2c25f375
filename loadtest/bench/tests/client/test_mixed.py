from __future__ import annotations

import os
import socket
import threading

from loadtest.bench.client.jobs import Fresh, Mixed, MixedResult, Probes, Readers, Target, Viewers
from loadtest.bench.client.mixed import run
from loadtest.bench.tests.serving import right, serving


def load(
    seconds: float,
    *,
    viewers: Viewers | None = None,
    readers: list[Readers] | None = None,
    probes: Probes | None = None,
) -> MixedResult:
    return run(
        Mixed(seconds=seconds, server_pids=[os.getpid()], seed=1, viewers=viewers, readers=readers or [], probes=probes)
    )


def probes_of(target: Target, *, fresh: Fresh = "none", connections: int = 2, count: int | None = None) -> Probes:
    return Probes(target=target, range_bytes=1000, per_sec=100, connections=connections, fresh=fresh, count=count)


def test_viewers_take_what_their_pace_allows_and_no_more() -> None:
    with serving() as target:
        result = load(1.0, viewers=Viewers(target=target, count=5, bytes_per_sec=100_000))
    assert (result.errors, result.viewers_behind) == (0, 0)
    # Five viewers for a second, visited four times; what comes with a header may be a little more.
    assert 5 * 10_000 <= result.bytes <= 5 * 102_000


def test_viewers_who_starve_are_behind() -> None:
    def header_only(connection: socket.socket, first: int, last: int) -> None:
        connection.sendall(f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last - first + 1}\r\n\r\n".encode())

    with serving(header_only) as target:
        result = load(1.6, viewers=Viewers(target=target, count=3, bytes_per_sec=100_000))
    assert (result.errors, result.viewers_behind) == (0, 3)


def test_viewers_whose_connection_breaks_are_behind_and_errors() -> None:
    with serving(lambda connection, *_: connection.shutdown(socket.SHUT_RDWR)) as target:
        result = load(0.6, viewers=Viewers(target=target, count=3, bytes_per_sec=100_000))
    assert (result.errors, result.viewers_behind) == (3, 3)


def test_readers_read_without_a_pause() -> None:
    with serving() as target:
        result = load(0.3, readers=[Readers(target=target, count=2, range_bytes=100_000)])
    assert result.errors == 0
    assert result.bytes > 2 * 100_000


def test_probes_come_at_their_moments_on_kept_and_on_fresh_connections() -> None:
    opened = set[int]()

    def note(connection: socket.socket, first: int, last: int) -> None:
        opened.add(connection.getpeername()[1])
        right(connection, first, last)

    with serving(note) as target:
        result = load(0.5, probes=probes_of(target, fresh="every second"))
    assert result.errors == 0
    assert 10 <= result.first_byte.samples <= 51
    assert len(opened) > 5  # more than the two that are kept


def test_each_new_viewer_starts_once() -> None:
    connections = list[int]()

    def note(connection: socket.socket, first: int, last: int) -> None:
        connections.append(connection.getpeername()[1])
        right(connection, first, last)

    with serving(note) as target:
        result = load(0.5, probes=probes_of(target, fresh="all", connections=0, count=7))
    assert (result.errors, result.first_byte.samples) == (0, 7)
    assert len(connections) == len(set(connections)) == 7


def test_a_stall_counts_for_every_moment_it_lasted() -> None:
    stall, gate = threading.Event(), threading.Lock()

    def once(connection: socket.socket, first: int, last: int) -> None:
        with gate:
            if not stall.is_set():
                stall.set()
                # The server as a whole is busy with something else: this is what is measured.
                threading.Event().wait(0.45)
        right(connection, first, last)

    with serving(once) as target:
        result = load(0.6, probes=probes_of(target))
    assert result.first_byte.max_ms is not None
    assert result.first_byte.max_ms >= 440
    # A closed loop would have waited twice; here most moments lie within the stall.
    assert result.first_byte.samples >= 20
    assert result.first_byte.p50_ms is not None
    assert result.first_byte.p50_ms >= 1


def test_probes_that_are_never_answered_count_with_the_time_they_waited() -> None:
    released = threading.Event()
    with serving(lambda *_: released.wait()) as target:  # type: ignore[arg-type]
        result = load(0.5, probes=probes_of(target))
        released.set()
    assert result.first_byte.samples >= 20
    assert result.first_byte.max_ms is not None
    # The first of them waited for nearly the whole half second; on a busy machine it begins late.
    assert result.first_byte.max_ms >= 250


def test_probes_begin_when_the_rest_has_settled() -> None:
    with serving() as target:
        late = probes_of(target).model_copy(update={"after_sec": 0.3})
        result = load(0.5, probes=late)
    assert 1 <= result.first_byte.samples <= 21
