"""The running service, and a client that speaks HTTP by hand."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from kit.ids import derived_id, new_id
from kit.rpc import GrpcServer
from kit.service import HttpServer, Role, Service, listen
from kit.settings import load
from kit.testing.fakes import FakeBus, HeaderAuthenticator
from marquee.catalog.v1 import catalog_pb2
from services.stream.__main__ import build
from services.stream.delivery.transfers import Traffic
from services.stream.domain import Source
from services.stream.fastpath import FastPathApp
from services.stream.http import StreamAuthenticator
from services.stream.sessions import SessionRegistry
from services.stream.settings import StreamSettings
from services.stream.tests.fakes import FakeAuth, FakeCatalog

VIEWER = "viewer"
AUTHORISED = f"X-Test-User: {VIEWER}"
_TIME_LIMIT_SEC = 60


def asset_of(video_id: str) -> str:
    """Return the asset id of a video's source."""
    return derived_id("source", video_id)


def a_source(**changed: Any) -> Source:
    """Return the source of a video."""
    video_id = changed.get("video_id") or new_id()
    fields: dict[str, Any] = {
        "asset_id": asset_of(video_id),
        "kind": "source",
        "video_id": video_id,
        "reference": "videos/1/source.mp4",
        "size_bytes": 1,
        "mime_type": "video/mp4",
        "duration_sec": 1.5,
        "video_codec": "h264",
        "audio_codec": "aac",
        "width": 320,
        "height": 180,
        "bitrate_bps": 1000,
        "version": 1,
        "corporation_id": "",
    }
    return Source(**fields | changed)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in a thread or another process."""
    async with asyncio.timeout(_TIME_LIMIT_SEC):
        while not condition():  # noqa: ASYNC110 - nothing tells when it happens
            await asyncio.sleep(0.005)


def open_below(folder: Path, process: int | str = "self") -> list[Path]:
    """The files below a folder that a process has open and in use."""
    found = _open_below(folder, process)
    if found:
        # A future and what waits for it refer to one another, and keep what it gave until the garbage is collected.
        # Not when there is nothing: collecting takes a second late in a run, in which the server can't open a file.
        gc.collect()
        found = _open_below(folder, process)
    return found


def has_twice(files: list[Path]) -> bool:
    """Whether one of the files is there more than once."""
    return len(files) != len(set(files))


def _open_below(folder: Path, process: int | str) -> list[Path]:
    found = []
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(entry.readlink())
    return [target for target in found if folder in target.parents]


@dataclass
class ServiceHarness:
    """A running stream service and its stand-ins."""

    root: Path
    port: int
    catalog: FakeCatalog
    auth: FakeAuth
    bus: FakeBus
    service: Service

    def add(self, path: Path, **fields: Any) -> str:
        """Add a file of the store to catalog; return the video's id."""
        video_id = new_id()
        known: dict[str, Any] = {
            "video_id": video_id,
            "asset_id": asset_of(video_id),
            "asset_kind": "source",
            "reference": str(path.relative_to(self.root)),
            "size_bytes": path.stat().st_size if path.exists() else 0,
            "mime_type": "video/mp4",
            "duration_sec": 10.0,
            "video_codec": "h264",
            "audio_codec": "aac",
            "width": 320,
            "height": 180,
            "bitrate_bps": 400_000,
            "version": 1,
        }
        self.catalog.sources[video_id] = catalog_pb2.GetSourceResponse(**known | fields)
        return video_id

    def store(self, name: str, content: bytes, **fields: Any) -> str:
        """Put a file into the store and add it to catalog; return the video's id."""
        path = self.root / name
        path.write_bytes(content)
        return self.add(path, **fields)

    def sparse(self, name: str, size: int, islands: dict[int, bytes] | None = None) -> str:
        """A file of holes, with something in a few places."""
        path = self.root / name
        with path.open("wb") as file:
            file.truncate(size)
            for offset, content in (islands or {}).items():
                file.seek(offset)
                file.write(content)
        return self.add(path)

    @property
    def registry(self) -> SessionRegistry:
        """The sessions that it serves."""
        assert isinstance(self.service.outer_app, FastPathApp)
        return self.service.outer_app._caches.registry

    @property
    def traffic(self) -> Traffic:
        """Its counters."""
        loops = (getattr(loop, "__self__", None) for loop in self.service.background)
        return next(each for each in loops if isinstance(each, Traffic))

    async def idle(self) -> None:
        """Waits until nothing is sent and, once what was replaced is closed, no file of the store is open twice."""
        async with asyncio.timeout(_TIME_LIMIT_SEC):
            while self.traffic.active or has_twice(open_below(self.root)):  # noqa: ASYNC110 - nothing tells when they end
                await asyncio.sleep(0.005)

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Asks the API on a connection of its own; what is sent is JSON."""
        sent = b"" if body is None else json.dumps(body).encode()
        if sent:
            headers = {"content_type": "application/json"} | headers
        async with connected(self.port) as line:
            return await line.ask(method, path, sent, **headers)

    async def get(self, video_id: str, **headers: str) -> Answer:
        """Asks for a stream on a connection of its own."""
        async with connected(self.port) as line:
            return await line.ask("GET", stream_path(video_id), **headers)


@asynccontextmanager
async def running(root: Path, sockets: Path, *, drain_sec: float = 1, **changed: Any) -> AsyncIterator[ServiceHarness]:
    """The whole service on real sockets; only auth, catalog and the bus are stand-ins.

    Args:
        root: the media store.
        sockets: a folder with a short name, for catalog's socket.
        drain_sec: how long a stop waits for answers in hand.
        changed: other settings; by default no user meets a limit.
    """
    catalog, auth, bus = FakeCatalog(), FakeAuth(), FakeBus()
    catalog_address = f"unix:{sockets}/catalog.sock"
    catalog_server = GrpcServer("catalog", catalog_address, [catalog.register])
    await catalog_server.start()
    auth_address = f"unix:{sockets}/auth.sock"
    auth_server = GrpcServer("auth", auth_address, [auth.register])
    await auth_server.start()
    settings = load(
        StreamSettings,
        http_port=0,
        grpc_bind="127.0.0.1:0",
        auth_address=auth_address,
        catalog_address=catalog_address,
        broker_url="local:",
        drain_sec=drain_sec,
        **{
            "media_url": f"file://{root}",
            "ticket_key_file": sockets / "tickets.key",
            "max_streams": 1000,
            "max_streams_per_user": 1000,
        }
        | changed,
    )
    service = build(settings, Role.SERVE, bus)
    viewers = service.app.state.authenticate
    assert isinstance(viewers, StreamAuthenticator)
    viewers.accounts = HeaderAuthenticator()
    await service.start()
    listener = listen("127.0.0.1", 0)
    server = HttpServer(service.root_app, settings)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield ServiceHarness(root, listener.getsockname()[1], catalog, auth, bus, service)
    finally:
        server.should_exit = True
        await serving
        await service.stop(drain_sec)
        await catalog_server.stop(0)
        await auth_server.stop(0)


def stream_path(video_id: str) -> str:
    """Where a video's bytes are."""
    return f"/api/videos/{video_id}/stream"


@dataclass
class Answer:
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    length: int = 0
    """Bytes of the body that came, also when they were only hashed."""
    sha256: str = field(default="", repr=False)

    def json(self) -> Any:
        """The body, when it is JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.json()["error"]["code"])


class Line:
    """One HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> None:
        """Sends a request without waiting for the answer. `if_range="x"` becomes `if-range: x`."""
        if body:
            headers["content_length"] = str(len(body))
        fields = {"host": "marquee", "x-test-user": VIEWER} | {k.replace("_", "-"): v for k, v in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value), "", ""]
        self.writer.write("\r\n".join(lines).encode("latin-1") + body)

    async def head(self) -> Answer:
        """Status and headers of the next answer."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines[1:] if line)
        return Answer(int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs})

    async def answer(self, *, has_body: bool = True, keep: bool = True) -> Answer:
        """The next answer. An answer that ends too early raises `asyncio.IncompleteReadError`."""
        answer = await self.head()
        missing = int(answer.headers.get("content-length", "0")) if has_body else 0
        digest = hashlib.sha256()
        kept = []
        while missing:
            block = await self.reader.read(min(missing, 1 << 20))
            if not block:
                raise asyncio.IncompleteReadError(b"", missing)
            missing -= len(block)
            answer.length += len(block)
            if keep:
                digest.update(block)
                kept.append(block)
        answer.body, answer.sha256 = b"".join(kept), digest.hexdigest()
        return answer

    async def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> Answer:
        """One request and its answer."""
        self.send(method, path, body, **headers)
        return await self.answer(has_body=method != "HEAD")


@asynccontextmanager
async def connected(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Line]:
    """A connection to the server; a small `receive_buffer` makes a slow reader felt soon."""
    endpoint = socket.socket()
    if receive_buffer:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    endpoint.setblocking(False)
    await asyncio.get_running_loop().sock_connect(endpoint, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=endpoint, limit=1 << 20)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


async def fetch(harness: ServiceHarness, path: str, method: str = "GET", **headers: str) -> tuple[Answer, bool]:
    """Return an answer, and whether it came by the fast path: only other requests are logged."""
    with capture_logs() as logs:
        async with connected(harness.port) as line:
            line.send(method, path, **headers)
            answer = await line.head()
            if method != "HEAD" and answer.status != 304:
                answer.body = await line.reader.readexactly(int(answer.headers["content-length"]))
        await harness.idle()
    return answer, not any(entry["event"] == "http_request" for entry in logs)


async def run(*command: str | Path) -> bytes:
    """Runs a program, such as a real client, to its end; answers what it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return output


def url(harness: ServiceHarness, video_id: str) -> str:
    """Where a real client finds a video's bytes."""
    return f"http://127.0.0.1:{harness.port}{stream_path(video_id)}"


async def make_movie(path: Path, *options: str) -> Path:
    """Ten seconds with a key frame each second."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine", "-t", "10")
    await run("ffmpeg", "-v", "error", *picture, "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p", *options, path)
    return path
