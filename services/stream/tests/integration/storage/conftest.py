"""Four places where originals lie, and one service that serves from all of them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.ids import new_id
from kit.testing.origin import MODIFIED, Origin
from kit.testing.servers import S3Server
from marquee.catalog.v1 import catalog_pb2
from services.stream.tests.support import ServiceHarness, running

ORIGIN_KINDS = ("nas", "import", "http", "s3")


class Originals(ABC):
    """One kind of store that originals lie in."""

    tier = "remote"

    @abstractmethod
    def reference(self, name: str) -> str: ...

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Puts an original there, in place of another one if there is one."""

    @abstractmethod
    def remove(self, name: str) -> None: ...

    @abstractmethod
    def shorten(self, name: str, size: int) -> None:
        """Cuts an original short, where it is."""

    @contextmanager
    def away(self) -> Iterator[None]:
        """Make it unreadable in the block."""
        raise NotImplementedError
        yield


class FolderOriginals(Originals):
    tier = "nas"

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self._prefix = prefix

    def reference(self, name: str) -> str:
        return self._prefix + name

    def put(self, name: str, content: bytes) -> None:
        fresh = self._root / f"{name}.new"
        fresh.write_bytes(content)
        fresh.rename(self._root / name)

    def remove(self, name: str) -> None:
        (self._root / name).unlink()

    def shorten(self, name: str, size: int) -> None:
        os.truncate(self._root / name, size)


class HttpOriginals(Originals):
    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def reference(self, name: str) -> str:
        return self._origin.url(f"/{name}")

    def put(self, name: str, content: bytes) -> None:
        self._origin.files[f"/{name}"] = content

    def remove(self, name: str) -> None:
        del self._origin.files[f"/{name}"]

    @contextmanager
    def away(self) -> Iterator[None]:
        self._origin.status = 503
        yield
        self._origin.status = None

    def shorten(self, name: str, size: int) -> None:
        self.put(name, self._origin.files[f"/{name}"][:size])


class S3Originals(FolderOriginals):
    tier = "remote"

    def __init__(self, server: S3Server, bucket: str) -> None:
        super().__init__(server.buckets / bucket, f"s3://{bucket}/")
        self._server = server

    def put(self, name: str, content: bytes) -> None:
        """The server tells states apart by seconds, and by the content."""
        super().put(name, content)
        os.utime(self._root / name, (MODIFIED, MODIFIED))

    def shorten(self, name: str, size: int) -> None:
        """Objects never change; there are only other ones in their place."""
        self.put(name, (self._root / name).read_bytes()[:size])

    @contextmanager
    def away(self) -> Iterator[None]:
        self._server.pause()
        yield
        self._server.resume()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    name = f"films-{new_id()}"
    (s3_server.buckets / name).mkdir()
    return name


@pytest.fixture
def settings(s3_server: S3Server, tmp_path: Path) -> dict[str, Any]:
    """Return the settings with which the service reads from all stores."""
    (tmp_path / "imports").mkdir()
    return {
        "import_dir": tmp_path / "imports",
        "remote_allow": "127.0.0.1",
        "remote_ports": "*",
        "remote_timeout_sec": 2,
        "s3_endpoint_url": s3_server.url,
        "s3_access_key_id": s3_server.access_key_id,
        "s3_secret_access_key": s3_server.secret_access_key,
    }


@pytest.fixture(params=ORIGIN_KINDS)
def originals(
    request: pytest.FixtureRequest, store: Path, tmp_path: Path, origin: Origin, s3_server: S3Server, bucket: str
) -> Originals:
    match request.param:
        case "nas":
            (store / "videos").mkdir()
            return FolderOriginals(store / "videos", "videos/")
        case "import":
            (tmp_path / "imports").mkdir(exist_ok=True)
            return FolderOriginals(tmp_path / "imports", "import:")
        case "http":
            return HttpOriginals(origin)
        case _:
            return S3Originals(s3_server, bucket)


@pytest.fixture
async def harness(store: Path, sockets: Path, settings: dict[str, Any]) -> AsyncIterator[ServiceHarness]:
    async with running(store, sockets, **settings) as harness:
        yield harness


def tell_catalog(harness: ServiceHarness, reference: str, **fields: Any) -> str:
    """Makes a video of an original; answers its id."""
    video_id = new_id()
    known: dict[str, Any] = {
        "video_id": video_id,
        "reference": reference,
        "size_bytes": 1,
        "mime_type": "video/mp4",
        "duration_sec": 10.0,
        "video_codec": "h264",
        "version": 1,
    }
    harness.catalog.sources[video_id] = catalog_pb2.GetSourceResponse(**known | fields)
    return video_id
