"""FileBody and OpenFile, without a network: what is sent, what is held, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from starlette.types import Message, Send

from kit.errors import ApiError
from services.stream.delivery.file_response import FileBody, FileSegment
from services.stream.storage.open_files import BLOCK_BYTES, OpenFile, OpenFileCache
from services.stream.tests.support import open_below, until
from zerocopy import EXTENSION

DATA = os.urandom(3 * BLOCK_BYTES + 7)


class Tape:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.bytes = 0
        self.is_cut_off = False
        self.failures: list[str] = []

    def begin(self, status: int) -> None:
        self.events.append(f"begin {status}")

    def sent(self, count: int) -> None:
        self.bytes += count

    def end_without_body(self, status: int, error: ApiError | None = None) -> None:
        assert error is None or error.code.http_status == status
        self.events.append(f"answered {status}")

    def failed(self, code: str, message: str) -> None:
        self.failures.append(code)

    def end(self, *, completed: bool) -> None:
        self.events.append("completed" if completed else "aborted")


class Client:
    """The other end of an ASGI connection."""

    def __init__(self, on_body: Callable[[int], None] = lambda _: None) -> None:
        self.gone = asyncio.Event()
        self.messages: list[Message] = []
        self.body = b""
        self._on_body = on_body

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body":
            self.body += message["body"]
            self._on_body(len(self.body))

    @property
    def is_complete(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(DATA)
    return path


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[OpenFileCache]:
    files = OpenFileCache(tmp_path, 2, capacity=0)
    yield files
    files.close()


async def deliver(
    file: OpenFile, parts: Sequence[FileSegment], client: Client, *, tail: bytes = b"", send: Send | None = None
) -> Tape:
    tape = Tape()
    body = FileBody(206, [(b"content-length", b"1")], file, parts, tail=tail, meter=tape)
    await body({"type": "http"}, client.receive, send or client.send)
    return tape


async def test_parts_come_in_order_with_heads_and_tail(files: OpenFileCache, path: Path) -> None:
    client = Client()
    parts = [
        FileSegment(BLOCK_BYTES - 1, BLOCK_BYTES + 2, b"one:"),
        FileSegment(0, 3, b"two:"),
        FileSegment(len(DATA) - 1, 1),
    ]
    tape = await deliver(await files.open(path), parts, client, tail=b"end")
    expected = b"one:" + DATA[BLOCK_BYTES - 1 : 2 * BLOCK_BYTES + 1] + b"two:" + DATA[:3] + DATA[-1:] + b"end"
    assert client.body == expected
    assert client.is_complete
    assert tape.events == ["begin 206", "completed"]
    assert tape.bytes == len(expected)
    await until(lambda: not open_below(path.parent))


async def test_one_block_at_a_time(files: OpenFileCache, path: Path) -> None:
    client = Client()
    await deliver(await files.open(path), [FileSegment(0, len(DATA))], client)
    sizes = [len(message["body"]) for message in client.messages[1:]]
    assert client.body == DATA
    assert max(sizes) == BLOCK_BYTES


async def test_an_empty_body(files: OpenFileCache, path: Path) -> None:
    client = Client()
    tape = await deliver(await files.open(path), [], client)
    assert client.is_complete
    assert tape.events == ["begin 206", "completed"]


async def test_a_file_that_shrinks_ends_the_answer_short(files: OpenFileCache, path: Path) -> None:
    client = Client(on_body=lambda _: os.truncate(path, 2 * BLOCK_BYTES))
    tape = await deliver(await files.open(path), [FileSegment(0, len(DATA))], client)
    assert client.body == DATA[: 2 * BLOCK_BYTES]
    assert not client.is_complete
    assert tape.events == ["begin 206", "aborted"]
    await until(lambda: not open_below(path.parent))


async def test_unreadable_file_is_reported_before_the_headers(
    files: OpenFileCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int, _count: int, _offset: int) -> bytes:
        raise OSError(5, "Input/output error")

    file = await files.open(path)
    monkeypatch.setattr("services.stream.storage.open_files.os.pread", broken)
    client = Client()
    with pytest.raises(ApiError, match="STREAM_FILE_UNAVAILABLE"):
        await deliver(file, [FileSegment(0, 1)], client)
    assert client.messages == []
    del file
    await until(lambda: not open_below(path.parent))


async def test_a_client_that_leaves_stops_the_reading(files: OpenFileCache, path: Path) -> None:
    client = Client()

    async def send(message: Message) -> None:
        await client.send(message)
        if client.body:
            client.gone.set()
            # A real server waits here for the client to take the bytes, which it will never do.
            await asyncio.Event().wait()

    tape = await deliver(await files.open(path), [FileSegment(0, len(DATA))], client, send=send)
    assert client.body == DATA[:BLOCK_BYTES]
    assert tape.events == ["begin 206", "aborted"]
    await until(lambda: not open_below(path.parent))


async def test_a_server_that_reports_a_lost_client_as_an_error(files: OpenFileCache, path: Path) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    tape = await deliver(await files.open(path), [FileSegment(0, len(DATA))], Client(), send=send)
    assert tape.events == ["begin 206", "aborted"]


async def test_a_fault_of_our_own_is_not_hidden(files: OpenFileCache, path: Path) -> None:
    async def send(_message: Message) -> None:
        raise ZeroDivisionError

    file = await files.open(path)
    with pytest.raises(ZeroDivisionError):
        await deliver(file, [FileSegment(0, 1)], Client(), send=send)
    del file
    await until(lambda: not open_below(path.parent))


class StuckReads:
    """Lets reads of one file hang, as on a dead share."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self._inode = path.stat().st_ino
        self._read = os.pread
        monkeypatch.setattr("services.stream.storage.open_files.os.pread", self._pread)

    def _pread(self, descriptor: int, count: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == self._inode:
            self.entered.set()
            self.release.wait(10)
        return self._read(descriptor, count, offset)


async def test_leaving_a_stuck_file_is_noticed_at_once_and_its_descriptor_outlives_the_read(
    files: OpenFileCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = StuckReads(monkeypatch, path)
    client = Client()
    delivery = asyncio.ensure_future(deliver(await files.open(path), [FileSegment(0, 9)], client))
    await until(stuck.entered.is_set)
    client.gone.set()
    async with asyncio.timeout(60):
        tape = await delivery
    assert tape.events == ["aborted"]
    assert open_below(path.parent), "its number must not go to another file while the read is under way"
    stuck.release.set()
    await until(lambda: not open_below(path.parent))


async def test_a_stuck_file_keeps_no_other_waiting(
    files: OpenFileCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = path.with_name("other")
    other.write_bytes(DATA)
    stuck = StuckReads(monkeypatch, path)
    waiting = asyncio.ensure_future(deliver(await files.open(path), [FileSegment(0, 9)], Client()))
    await until(stuck.entered.is_set)
    client = Client()
    async with asyncio.timeout(60):
        await deliver(await files.open(other), [FileSegment(0, len(DATA))], client)
    assert client.body == DATA
    stuck.release.set()
    assert (await waiting).events == ["begin 206", "completed"]


async def test_being_cancelled_closes_the_file(files: OpenFileCache, path: Path) -> None:
    held = asyncio.Event()

    async def send(_message: Message) -> None:
        held.set()
        await asyncio.Event().wait()

    delivery = asyncio.ensure_future(deliver(await files.open(path), [FileSegment(0, 9)], Client(), send=send))
    await held.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    await until(lambda: not open_below(path.parent))


async def test_giving_up_on_opening_leaks_nothing(files: OpenFileCache, path: Path) -> None:
    for _ in range(50):
        opening = asyncio.ensure_future(files.open(path))
        await asyncio.sleep(0)
        opening.cancel()
        # It may have been opened by one that came before.
        await asyncio.wait([opening])
    del opening
    await until(lambda: not open_below(path.parent))


async def test_only_regular_files_are_opened(files: OpenFileCache, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        with pytest.raises(OSError, match=r".+"):
            await files.open(tmp_path / name)
    await until(lambda: not open_below(tmp_path))


async def test_a_file_that_is_held_outlives_the_threads(files: OpenFileCache, path: Path) -> None:
    file = await files.open(path)
    files.close()
    assert open_below(path.parent)
    del file
    await until(lambda: not open_below(path.parent))


async def test_the_store_is_there_or_not(files: OpenFileCache, tmp_path: Path) -> None:
    await files.ping()
    with pytest.raises(OSError, match="gone"):
        await OpenFileCache(tmp_path / "gone", 1).ping()


# --- Zero copy ---------------------------------------------------------------------------------------------


class KernelClient(Client):
    """A server that offers the extension, and the client behind it; it takes `limit` bytes of files."""

    def __init__(self, limit: int = 1 << 40) -> None:
        super().__init__()
        self.left = limit

    async def send(self, message: Message) -> None:
        if message["type"] != EXTENSION:
            await super().send(message)
            return
        for offset in range(message["offset"], message["offset"] + message["count"], BLOCK_BYTES):
            count = min(BLOCK_BYTES, message["offset"] + message["count"] - offset, self.left)
            block = os.pread(message["file"].fileno(), count, offset)
            if count and not block:
                raise OSError(errno.EIO, "the file ends early")
            self.body += block
            self.left -= len(block)
            message["sent"](len(block))
        self.messages.append(message)


async def deliver_by_kernel(file: OpenFile, parts: Sequence[FileSegment], client: Client, tail: bytes = b"") -> Tape:
    tape = Tape()
    body = FileBody(206, [(b"content-length", b"1")], file, parts, tail=tail, meter=tape)
    await body({"type": "http", "extensions": {EXTENSION: {}}}, client.receive, client.send)
    return tape


@pytest.mark.parametrize(
    ("parts", "tail"),
    [
        ([FileSegment(5, 3 * BLOCK_BYTES)], b""),
        ([FileSegment(BLOCK_BYTES - 1, 2, b"one:"), FileSegment(0, 3, b"two:"), FileSegment(len(DATA) - 1, 1)], b"end"),
        ([FileSegment(0, 0, b"only in memory")], b""),
        ([FileSegment(0, 0, b"header"), FileSegment(7, 9)], b""),
        ([], b""),
    ],
)
async def test_kernel_sends_the_same_bytes_as_reading(
    files: OpenFileCache, path: Path, parts: list[FileSegment], tail: bytes
) -> None:
    read, sent = Client(), KernelClient()
    tapes = [
        await deliver(await files.open(path), parts, read, tail=tail),
        await deliver_by_kernel(await files.open(path), parts, sent, tail),
    ]
    assert sent.body == read.body
    assert sent.is_complete
    assert [tape.bytes for tape in tapes] == [len(read.body)] * 2
    assert tapes[0].events == tapes[1].events == ["begin 206", "completed"]


async def test_a_client_that_leaves_the_kernel_is_counted_to_the_byte(files: OpenFileCache, path: Path) -> None:
    client = KernelClient(limit=BLOCK_BYTES + 5)
    tape = await deliver_by_kernel(
        await files.open(path), [FileSegment(0, len(DATA)), FileSegment(0, 1)], client, b"tail"
    )
    assert tape.events == ["begin 206", "aborted"]
    assert tape.bytes == len(client.body) == BLOCK_BYTES + 5
    assert not client.is_complete


async def test_a_file_that_shrinks_under_the_kernel_ends_the_answer_short(files: OpenFileCache, path: Path) -> None:
    file = await files.open(path)
    os.truncate(path, BLOCK_BYTES)
    client = KernelClient()
    tape = await deliver_by_kernel(file, [FileSegment(0, len(DATA))], client)
    assert tape.events == ["begin 206", "aborted"]
    assert client.body == DATA[:BLOCK_BYTES]
    assert not client.is_complete


async def test_unreadable_file_on_a_share_is_reported_before_the_headers(
    files: OpenFileCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int, _count: int, _offset: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    file = await files.open(path)
    file.is_local = False
    monkeypatch.setattr("services.stream.storage.open_files.os.pread", broken)
    client = KernelClient()
    with pytest.raises(ApiError, match="STREAM_FILE_UNAVAILABLE"):
        await deliver_by_kernel(file, [FileSegment(0, 1)], client)
    assert client.messages == []
