"""FileBody and OpenFile, without a network: what is sent, what is held, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from starlette.types import Message, Send

from kit.errors import ApiError
from services.stream.files import Files, OpenFile
from services.stream.sender import BLOCK_BYTES, FileBody, Part
from services.stream.tests.support import open_below, until

DATA = os.urandom(3 * BLOCK_BYTES + 7)


class Tape:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.bytes = 0

    def begin(self, status: int) -> None:
        self.events.append(f"begin {status}")

    def sent(self, count: int) -> None:
        self.bytes += count

    def answered(self, status: int) -> None:
        self.events.append(f"answered {status}")

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
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    files = Files(tmp_path, 2)
    yield files
    files.close()


async def deliver(
    file: OpenFile, parts: Sequence[Part], client: Client, *, tail: bytes = b"", send: Send | None = None
) -> Tape:
    tape = Tape()
    body = FileBody(206, [(b"content-length", b"1")], file, parts, tail=tail, meter=tape)
    await body({"type": "http"}, client.receive, send or client.send)
    return tape


async def test_parts_come_in_order_with_heads_and_tail(files: Files, path: Path) -> None:
    client = Client()
    parts = [Part(BLOCK_BYTES - 1, BLOCK_BYTES + 2, b"one:"), Part(0, 3, b"two:"), Part(len(DATA) - 1, 1)]
    tape = await deliver(await files.open(path), parts, client, tail=b"end")
    expected = b"one:" + DATA[BLOCK_BYTES - 1 : 2 * BLOCK_BYTES + 1] + b"two:" + DATA[:3] + DATA[-1:] + b"end"
    assert client.body == expected
    assert client.is_complete
    assert tape.events == ["begin 206", "completed"]
    assert tape.bytes == len(expected)
    await until(lambda: not open_below(path.parent))


async def test_one_block_at_a_time(files: Files, path: Path) -> None:
    client = Client()
    await deliver(await files.open(path), [Part(0, len(DATA))], client)
    sizes = [len(message["body"]) for message in client.messages[1:]]
    assert client.body == DATA
    assert max(sizes) == BLOCK_BYTES


async def test_an_empty_body(files: Files, path: Path) -> None:
    client = Client()
    tape = await deliver(await files.open(path), [], client)
    assert client.is_complete
    assert tape.events == ["begin 206", "completed"]


async def test_a_file_that_shrinks_ends_the_answer_short(files: Files, path: Path) -> None:
    client = Client(on_body=lambda _: os.truncate(path, 2 * BLOCK_BYTES))
    tape = await deliver(await files.open(path), [Part(0, len(DATA))], client)
    assert client.body == DATA[: 2 * BLOCK_BYTES]
    assert not client.is_complete
    assert tape.events == ["begin 206", "aborted"]
    await until(lambda: not open_below(path.parent))


async def test_a_file_that_can_not_be_read_is_told_before_the_headers(
    files: Files, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int, _count: int, _offset: int) -> bytes:
        raise OSError(5, "Input/output error")

    file = await files.open(path)
    monkeypatch.setattr("services.stream.files.os.pread", broken)
    client = Client()
    with pytest.raises(ApiError, match="STREAM_FILE_UNAVAILABLE"):
        await deliver(file, [Part(0, 1)], client)
    assert client.messages == []
    await until(lambda: not open_below(path.parent))


async def test_a_client_that_leaves_stops_the_reading(files: Files, path: Path) -> None:
    client = Client()

    async def send(message: Message) -> None:
        await client.send(message)
        if client.body:
            client.gone.set()
            # A real server waits here for the client to take the bytes, which it will never do.
            await asyncio.Event().wait()

    tape = await deliver(await files.open(path), [Part(0, len(DATA))], client, send=send)
    assert client.body == DATA[:BLOCK_BYTES]
    assert tape.events == ["begin 206", "aborted"]
    await until(lambda: not open_below(path.parent))


async def test_a_server_that_reports_a_lost_client_as_an_error(files: Files, path: Path) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    tape = await deliver(await files.open(path), [Part(0, len(DATA))], Client(), send=send)
    assert tape.events == ["begin 206", "aborted"]


async def test_a_fault_of_our_own_is_not_hidden(files: Files, path: Path) -> None:
    async def send(_message: Message) -> None:
        raise ZeroDivisionError

    file = await files.open(path)
    with pytest.raises(ZeroDivisionError):
        await deliver(file, [Part(0, 1)], Client(), send=send)
    await until(lambda: not open_below(path.parent))


class StuckReads:
    """Lets reads of one file hang, as on a dead share."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self._inode = path.stat().st_ino
        self._read = os.pread
        monkeypatch.setattr("services.stream.files.os.pread", self._pread)

    def _pread(self, descriptor: int, count: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == self._inode:
            self.entered.set()
            self.release.wait(10)
        return self._read(descriptor, count, offset)


async def test_leaving_a_stuck_file_is_noticed_at_once_and_its_descriptor_outlives_the_read(
    files: Files, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = StuckReads(monkeypatch, path)
    client = Client()
    delivery = asyncio.ensure_future(deliver(await files.open(path), [Part(0, 9)], client))
    await until(stuck.entered.is_set)
    client.gone.set()
    async with asyncio.timeout(2):
        tape = await delivery
    assert tape.events == ["aborted"]
    assert open_below(path.parent), "its number must not go to another file while the read is under way"
    stuck.release.set()
    await until(lambda: not open_below(path.parent))


async def test_a_stuck_file_keeps_no_other_waiting(files: Files, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = path.with_name("other")
    other.write_bytes(DATA)
    stuck = StuckReads(monkeypatch, path)
    waiting = asyncio.ensure_future(deliver(await files.open(path), [Part(0, 9)], Client()))
    await until(stuck.entered.is_set)
    client = Client()
    async with asyncio.timeout(2):
        await deliver(await files.open(other), [Part(0, len(DATA))], client)
    assert client.body == DATA
    stuck.release.set()
    assert (await waiting).events == ["begin 206", "completed"]


async def test_being_cancelled_closes_the_file(files: Files, path: Path) -> None:
    held = asyncio.Event()

    async def send(_message: Message) -> None:
        held.set()
        await asyncio.Event().wait()

    delivery = asyncio.ensure_future(deliver(await files.open(path), [Part(0, 9)], Client(), send=send))
    await held.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    await until(lambda: not open_below(path.parent))


async def test_giving_up_on_opening_leaks_nothing(files: Files, path: Path) -> None:
    for _ in range(50):
        opening = asyncio.ensure_future(files.open(path))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await until(lambda: not open_below(path.parent))


async def test_only_regular_files_are_opened(files: Files, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", "."):
        with pytest.raises(OSError, match=r".+"):
            await files.open(tmp_path / name)
    assert not open_below(tmp_path)


async def test_closing_after_the_end_and_twice(files: Files, path: Path) -> None:
    file = await files.open(path)
    files.close()
    file.close()
    file.close()
    assert not open_below(path.parent)


async def test_the_store_is_there_or_not(files: Files, tmp_path: Path) -> None:
    await files.ping()
    with pytest.raises(OSError, match="gone"):
        await Files(tmp_path / "gone", 1).ping()
