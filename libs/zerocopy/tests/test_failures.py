"""Files that can't be read, or not to the end: the application gets an error, and the client notices."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from zerocopy.tests.support import FakeResidency, Media, Running, body, request, start, until

COUNT = 5_000_000


def fail_after(blocks: int, error: int) -> Callable[[int, int, int, int], int]:
    """Return a `sendfile` that fails."""
    sendfile = os.sendfile
    made = 0

    def failing(out: int, file: int, offset: int, count: int) -> int:
        nonlocal made
        made += 1
        if made > blocks:
            raise OSError(error, os.strerror(error))
        return sendfile(out, file, offset, count)

    return failing


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ECONNRESET])
def test_a_read_error_ends_the_connection_early(
    server: Running, media: Media, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    # Some of these are what a lost connection gives, too; here they are the file's (FUSE and NFS have them all).
    server.app = media.app
    monkeypatch.setattr(os, "sendfile", fail_after(2, error))
    answer = server.ask(request(f"/0/{COUNT}"))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert f"content-length: {COUNT}".encode() in head
    assert content == media.content[: len(content)]
    assert len(content) == sum(media.sent) < COUNT
    assert [outcome.split()[1] for outcome in media.outcomes] == [str(error)]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_early_end_is_noticed_without_a_length(
    server: Running, media: Media, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start())
        await send(media.part(0, COUNT))

    server.app = app
    monkeypatch.setattr(os, "sendfile", fail_after(1, errno.EIO))
    with server.connect() as client:
        client.write(request(version=version))
        if version == "1.0":
            # The end of the connection is the end of the body: only a reset differs from it.
            with pytest.raises(ConnectionResetError):
                client.read(len(media.content) + 1000)
        else:
            assert not client.read_all().endswith(b"0\r\n\r\n")


def test_a_file_that_shrinks_meanwhile(server: Running, media: Media) -> None:
    server.app = media.app
    with server.connect(receive_bytes=4096) as client:
        client.write(request(f"/0/{COUNT}"))
        until(lambda: any(connection.is_sending for connection in server.connections()))
        os.truncate(media.path, 3_500_000)
        content = client.read_all().partition(b"\r\n\r\n")[2]
    assert content == media.content[: len(content)]
    assert len(content) <= 3_500_000
    assert media.outcomes == [f"OSError {errno.ENODATA}"]


def test_a_first_block_that_can_not_be_read_may_become_another_answer(
    server: Running, media: Media, monkeypatch: pytest.MonkeyPatch, residency: FakeResidency
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", "10")))
        try:
            await send(media.part(0, 10))
        except OSError:
            await send(start(("content-length", "7"), status=503))
            await send(body(b"not now"))

    def broken(_file: int, _count: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, "no disk")

    server.app = app
    media.residency = residency
    with server.connect() as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", broken)
            client.write(request())
            answer = client.read_answer()
            assert (answer.status, answer.body) == (503, b"not now")
        client.write(request())
        assert client.read_answer().body == media.content[:10]


def test_an_error_before_anything_is_written_is_a_500(server: Running, media: Media, residency: FakeResidency) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", "10")))
        await send(media.part(len(media.content), 10))

    server.app = app
    media.residency = residency
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().status == 500


def test_part_behind_the_end_of_the_file_is_an_error(server: Running, media: Media) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", "20")))
        await send(body(b"0123456789", more_body=True))
        with pytest.raises(OSError, match=f"ends at or before byte {len(media.content)}"):
            await send(media.part(len(media.content), 10))
        media.outcomes.append("raised")

    server.app = app
    assert server.ask(request()).endswith(b"0123456789")
    assert media.outcomes == ["raised"]


def test_a_callback_that_fails_is_the_applications_error(server: Running, media: Media) -> None:
    def fail(count: int) -> None:
        media.sent.append(count)
        if sum(media.sent) > 1_000_000:
            raise ZeroDivisionError

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", str(COUNT))))
        try:
            await send({**media.part(0, COUNT), "sent": fail})
        except ZeroDivisionError:
            media.outcomes.append("raised")

    server.app = app
    content = server.ask(request()).partition(b"\r\n\r\n")[2]
    assert content == media.content[: len(content)]
    assert len(content) == sum(media.sent)
    assert media.outcomes == ["raised"]


def test_no_descriptor_left_for_the_connection(server: Running, media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sender(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    server.app = media.app
    with server.connect() as client, monkeypatch.context() as patch:
        patch.setattr("zerocopy.protocol.Sender", no_sender)
        client.write(request("/0/10"))
        until(lambda: media.outcomes == [f"OSError {errno.EMFILE}"])
        # The application gave up without an answer.
        assert client.read_answer().status == 500


@pytest.mark.parametrize("blocks", [0, 3])
def test_application_that_fails_gives_a_500_or_ends_the_connection(server: Running, media: Media, blocks: int) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await send(start(("content-length", str(COUNT))))
        for number in range(blocks):
            await send(media.part(number * 10, 10, more_body=True))
        raise ZeroDivisionError

    server.app = app
    with server.connect() as client:
        client.write(request())
        if blocks:
            assert client.read_all().endswith(b"\r\n\r\n" + media.content[:30])
        else:
            assert client.read_answer().status == 500
