"""A real server in a thread, and a client that sees every byte."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import uvicorn

from zerocopy import EXTENSION, Residency, ZeroCopyProtocol

App = Callable[[Any, Any, Any], Awaitable[None]]

DEADLINE_SEC = 60.0


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition that another thread brings about."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


@dataclass
class Running:
    """A server that runs; `app` may be changed at any time."""

    address: Any
    server: uvicorn.Server
    loop: asyncio.AbstractEventLoop
    app: App

    def connect(self, receive_bytes: int | None = None) -> Client:
        """Return a new connection; with a receive buffer of about so many bytes, for a reader that is soon behind."""
        sock = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(DEADLINE_SEC)
        sock.connect(self.address)
        return Client(sock)

    def ask(self, request: bytes) -> bytes:
        """Return everything that a new connection answers until it ends."""
        with self.connect() as client:
            client.write(request)
            return client.read_all()

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function on the server's loop."""
        answer: Future[Any] = Future()
        self.loop.call_soon_threadsafe(lambda: answer.set_result(function()))
        return answer.result(DEADLINE_SEC)

    def connections(self) -> list[ZeroCopyProtocol]:
        """Return the open connections."""
        return list(self.server.server_state.connections)  # type: ignore[arg-type]


@contextmanager
def serving(
    app: App,
    protocol: type[ZeroCopyProtocol] = ZeroCopyProtocol,
    listener: socket.socket | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    **options: Any,
) -> Iterator[Running]:
    """Run a server in a thread of its own."""
    listener = listener or socket.create_server(("127.0.0.1", 0), backlog=1000)
    ready: Future[Running] = Future()

    async def entrance(scope: Any, receive: Any, send: Any) -> None:
        await ready.result().app(scope, receive, send)

    config = uvicorn.Config(
        entrance,
        http=protocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        **options,
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        ready.set_result(Running(listener.getsockname(), server, asyncio.get_running_loop(), app))
        await server.serve(sockets=[listener])

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        running = ready.result(DEADLINE_SEC)
        until(lambda: server.started)
        yield running
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SEC)
        assert not thread.is_alive()


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection. Reading is up to the test, so that it can be as slow as it likes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._ahead = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, count: int) -> bytes:
        """Return `count` bytes, or fewer at the connection's end."""
        while len(self._ahead) < count and (more := self.sock.recv(min(count, 1 << 20))):
            self._ahead += more
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken

    def read_until(self, end: bytes) -> bytes:
        """Return the bytes up to and with `end`."""
        while end not in self._ahead:
            more = self.sock.recv(1 << 16)
            assert more, f"the connection ended after {self._ahead[:200]!r}"
            self._ahead += more
        taken, _, self._ahead = self._ahead.partition(end)
        return taken + end

    def read_all(self) -> bytes:
        """Return everything until the connection ends or is reset."""
        parts = [self._ahead]
        self._ahead = b""
        try:
            while more := self.sock.recv(1 << 20):
                parts.append(more)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def read_head(self) -> tuple[int, dict[str, str]]:
        """Return status and header fields."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        fields = (line.partition(": ") for line in lines[1:])
        return int(lines[0].split(" ")[1]), {name: value for name, _, value in fields}

    def read_answer(self, method: str = "GET") -> Answer:
        """Return a whole response (RFC 9112, 6.3)."""
        status, headers = self.read_head()
        if method == "HEAD" or status in {204, 304}:
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = self._read_chunks()
        elif "content-length" in headers:
            body = self.read(int(headers["content-length"]))
            assert len(body) == int(headers["content-length"])
        else:
            body = self.read_all()
        return Answer(status, headers, body)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read(size)
            assert self.read(2) == b"\r\n"
        assert self.read(2) == b"\r\n"
        return body

    def is_at_end(self) -> bool:
        """Return whether the server has closed in an orderly way, with nothing more to read."""
        return not self._ahead and not self.sock.recv(1)

    def vanish(self) -> None:
        """End the connection with a reset, as a crash would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def request(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request's head."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: test", *headers, "", ""]).encode()


class Media:
    """A file of known content, and an application that sends the range of it in the path: `/offset/count`."""

    def __init__(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self.path = path
        self.content = content
        self.fd = os.open(path, os.O_RDONLY)
        self.residency: Residency | None = None
        self.sent: list[int] = []
        self.outcomes: list[str] = []
        """What became of each request."""

    def close(self) -> None:
        os.close(self.fd)

    def fileno(self) -> int:
        return self.fd

    def part(self, offset: int, count: int, *, more_body: bool = False) -> dict[str, Any]:
        """Return the extension's message."""
        message = {
            "type": EXTENSION,
            "file": self.fd,
            "offset": offset,
            "count": count,
            "more_body": more_body,
            "sent": self.sent.append,
        }
        if self.residency is not None:
            message["residency"] = self.residency
        return message

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        offset, count = (int(number) for number in scope["path"].split("/")[1:])
        await send(start(("content-length", str(count))))
        try:
            await send(self.part(offset, count))
        except OSError as error:
            self.outcomes.append(f"{type(error).__name__} {error.errno}")
            return
        except BaseException as error:
            self.outcomes.append(type(error).__name__)
            raise
        while (await receive())["type"] != "http.disconnect":
            pass
        self.outcomes.append("whole" if sum(self.sent) == count else "left")


def start(*headers: tuple[str, str], status: int = 200) -> dict[str, Any]:
    """Return the message that begins a response."""
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


def body(data: bytes = b"", *, more_body: bool = False) -> dict[str, Any]:
    """Return the message with a part of a response in memory."""
    return {"type": "http.response.body", "body": data, "more_body": more_body}


class FakeResidency:
    """A residency that the test controls: which blocks are resident, and how long threads wait."""

    def __init__(self) -> None:
        self.resident: Callable[[int], bool] = lambda _offset: False
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.steps = 0
        self.asked: list[tuple[int, int]] = []
        self.pool = ThreadPoolExecutor(1)

    def is_resident(self, fd: int, offset: int, count: int) -> bool:
        self.asked.append((offset, count))
        return self.resident(offset)

    def run(self, step: Callable[[], int]) -> Future[int]:
        return self.pool.submit(self._wait_and_run, step)

    def _wait_and_run(self, step: Callable[[], int]) -> int:
        self.steps += 1
        self.entered.set()
        assert self.gate.wait(DEADLINE_SEC)
        return step()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the method, path and content of the request, and the names of its fields."""
    content = b""
    while True:
        message = await receive()
        content += message["body"]
        if not message["more_body"]:
            break
    names = b",".join(name for name, _ in scope["headers"])
    answer = b"%b %b [%b] %b" % (scope["method"].encode(), scope["path"].encode(), content, names)
    await send(start(("content-length", str(len(answer)))))
    await send(body(answer))


class Hasty(ZeroCopyProtocol):
    arrival_sec = 0.4


def flood(client: Client, block: bytes, count: int) -> bool:
    """Return whether the server took so many blocks."""
    try:
        for _ in range(count):
            client.write(block)
    except OSError:
        return False
    return True
