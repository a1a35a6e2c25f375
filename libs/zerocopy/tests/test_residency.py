"""Blocks that are not in memory: threads read them, and other connections don't wait."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from zerocopy import PageCache, classify
from zerocopy.segment import BLOCK_BYTES
from zerocopy.tests.support import FakeResidency, Media, Running, request, until

COUNT = 5_000_000


@pytest.fixture(autouse=True)
def with_residency(media: Media, residency: FakeResidency) -> None:
    media.residency = residency


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


def test_resident_blocks_need_no_thread(server: Running, media: Media, residency: FakeResidency) -> None:
    server.app = media.app
    residency.resident = lambda _offset: True
    with server.connect() as client:
        client.write(request(f"/17/{COUNT - 17}"))
        assert client.read_answer().body == media.content[17:COUNT]
    assert residency.steps == 0
    assert residency.asked[0] == (17, BLOCK_BYTES)
    assert all(count <= BLOCK_BYTES for _, count in residency.asked)


@pytest.mark.parametrize("receive_bytes", [4096, 8 << 20])
def test_blocks_that_are_not_resident_are_sent_by_threads(
    server: Running, media: Media, residency: FakeResidency, monkeypatch: pytest.MonkeyPatch, receive_bytes: int
) -> None:
    senders = set()
    sendfile = os.sendfile

    def watching(*arguments: int) -> int:
        senders.add(threading.get_ident())
        return sendfile(*arguments)

    monkeypatch.setattr(os, "sendfile", watching)
    server.app = media.app
    with server.connect(receive_bytes) as client:
        for _ in range(2):
            client.write(request(f"/17/{COUNT - 17}"))
            assert client.read_answer().body == media.content[17:COUNT]
    until(lambda: sum(media.sent) == 2 * (COUNT - 17))
    assert senders == {residency.pool.submit(threading.get_ident).result()}


def test_blocks_may_be_of_either_kind(server: Running, media: Media, residency: FakeResidency) -> None:
    residency.resident = lambda offset: offset // BLOCK_BYTES % 2 == 0
    server.app = media.app
    with server.connect() as client:
        client.write(request(f"/0/{COUNT}"))
        assert client.read_answer().body == media.content[:COUNT]
    assert residency.steps >= COUNT // BLOCK_BYTES // 2


def test_others_are_served_while_a_disk_hangs(server: Running, media: Media, residency: FakeResidency) -> None:
    server.app = media.app
    residency.gate.clear()
    with server.connect() as stuck, server.connect() as other:
        stuck.write(request("/0/10"))
        assert residency.entered.wait(60)
        residency.resident = lambda _offset: True
        for _ in range(10):
            other.write(request("/1/2"))
            assert other.read_answer().body == media.content[1:3]
        residency.gate.set()
        assert stuck.read_answer().body == media.content[:10]


def test_client_that_leaves_while_a_disk_hangs_is_released(
    server: Running, media: Media, residency: FakeResidency
) -> None:
    server.app = media.app
    residency.gate.clear()
    client = server.connect()
    client.write(request(f"/0/{COUNT}"))
    assert residency.entered.wait(60)
    client.vanish()
    until(lambda: media.outcomes == ["left"])
    until(lambda: not server.connections())
    residency.gate.set()
    residency.pool.submit(int).result()
    assert media.sent == []


def test_a_step_that_had_not_begun_never_does(server: Running, media: Media, residency: FakeResidency) -> None:
    server.app = media.app
    residency.gate.clear()
    first = server.connect()
    first.write(request("/0/10"))
    assert residency.entered.wait(60)
    second = server.connect()
    second.write(request("/0/10"))
    until(lambda: sum(connection.is_sending for connection in server.connections()) == 2)
    second.vanish()
    until(lambda: media.outcomes == ["left"])
    residency.gate.set()
    with first:
        assert first.read_answer().body == media.content[:10]


def test_the_server_may_end_a_connection_whose_thread_hangs(
    server: Running, media: Media, residency: FakeResidency
) -> None:
    server.app = media.app
    residency.gate.clear()
    with server.connect() as client:
        client.write(request(f"/0/{COUNT}"))
        assert residency.entered.wait(60)
        (connection,) = server.connections()
        server.call(connection.transport.abort)
        # Not only when the thread is back.
        assert client.is_at_end()
        residency.gate.set()


def test_the_file_may_be_closed_while_a_thread_reads_it(
    server: Running, media: Media, residency: FakeResidency, tmp_path: Path
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        with (tmp_path / "other").open("w+b") as file:
            file.write(b"x" * 1000)
            file.flush()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            await send({**media.part(0, 1000), "file": file})
        media.outcomes.append("closed")

    server.app = app
    residency.gate.clear()
    client = server.connect()
    client.write(request())
    assert residency.entered.wait(60)
    client.vanish()
    until(lambda: media.outcomes == ["closed"])
    # The number is free for another file now; the thread must not read that one.
    with (tmp_path / "another").open("w+b"):
        residency.gate.set()
        residency.pool.submit(int).result()


def test_threads_that_are_gone_are_an_error(server: Running, media: Media, residency: FakeResidency) -> None:
    server.app = media.app
    residency.pool.shutdown()
    with server.connect() as client:
        client.write(request("/0/10"))
        assert client.read_answer().status == 500
    assert media.outcomes == ["RuntimeError"]


def test_a_probe_that_fails_is_an_error_of_the_file(server: Running, media: Media, residency: FakeResidency) -> None:
    def broken(_offset: int) -> bool:
        raise OSError(errno.EIO, "no disk")

    residency.resident = broken
    server.app = media.app
    with server.connect() as client:
        client.write(request("/0/10"))
        assert client.read_answer().status == 500
    assert media.outcomes == [f"OSError {errno.EIO}"]


class TestPageCache:
    def test_a_warm_file_is_resident(self, tmp_path: Path, pool: ThreadPoolExecutor) -> None:
        with (tmp_path / "file").open("w+b") as file:
            file.write(b"x" * 1_000_000)
            file.flush()
            fd = file.fileno()
            cache = PageCache(pool, can_ask=classify(fd))
            # A store that can't be asked has nothing that is known to be resident.
            assert cache.is_resident(fd, 0, 1_000_000) is classify(fd)
            assert cache.is_resident(fd, 999_999, 1) is classify(fd)
            assert cache.is_resident(fd, 5, 0) is True
            # Behind the end there is nothing to wait for.
            assert cache.is_resident(fd, 2_000_000, 10) is classify(fd)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        with (tmp_path / "file").open("w+b") as file:
            assert classify(file.fileno()) in {True, False}

    def test_memory_file_system_has_no_nowait(self, pool: ThreadPoolExecutor) -> None:
        fd = os.memfd_create("memory")
        os.write(fd, b"x" * 100)
        assert classify(fd) is False
        assert PageCache(pool, can_ask=False).is_resident(fd, 0, 100) is False
        os.close(fd)

    @pytest.mark.parametrize(
        ("error", "resident"), [(errno.EAGAIN, False), (errno.EOPNOTSUPP, False), (errno.EINVAL, False), (0, True)]
    )
    def test_residency_follows_preadv2(
        self, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor, error: int, *, resident: bool
    ) -> None:
        probed = []

        def preadv(_fd: int, _buffers: list[bytearray], offset: int, flags: int) -> int:
            assert flags == os.RWF_NOWAIT
            probed.append(offset)
            if error and offset == 109:
                raise OSError(error, os.strerror(error))
            return 1

        monkeypatch.setattr(os, "preadv", preadv)
        assert PageCache(pool, can_ask=True).is_resident(3, 10, 100) is resident
        assert probed == [10, 109]

    @pytest.mark.parametrize(("error", "can_ask"), [(errno.EAGAIN, True), (errno.ENOSYS, False)])
    def test_classes_of_stores(self, monkeypatch: pytest.MonkeyPatch, error: int, *, can_ask: bool) -> None:
        def preadv(*_: object) -> int:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "preadv", preadv)
        assert classify(3) is can_ask

    def test_errors_of_the_file_reach_the_caller(self, pool: ThreadPoolExecutor) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with pytest.raises(OSError, match="Bad file descriptor"):
            classify(reading)
        with pytest.raises(OSError, match="Bad file descriptor"):
            PageCache(pool, can_ask=True).is_resident(reading, 0, 1)
        os.close(writing)

    def test_steps_run_in_its_threads(self, pool: ThreadPoolExecutor) -> None:
        cache = PageCache(pool, can_ask=True)
        assert cache.run(threading.get_ident).result() == pool.submit(threading.get_ident).result()
