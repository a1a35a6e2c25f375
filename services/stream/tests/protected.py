"""Protected films in a running service, and a device that plays them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from kit.ids import new_id
from kit.rpc import call, connect
from lsv import ContentKey, PackDescription
from lsv.tests.licence_client import Device
from lsv.tests.packs import DESCRIPTION, INIT, PIECES, Piece, make_pack, open_pack
from marquee.stream.v1 import stream_pb2
from marquee.stream.v1.stream_pb2_grpc import StreamServiceStub
from services.stream.tests.support import ServiceHarness, running

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
VERSION = 3
PLAINTEXTS = [INIT, *(each.plaintext for each in PIECES)]


@asynccontextmanager
async def running_protected(
    root: Path, sockets: Path, database_url: str, **changed: Any
) -> AsyncIterator[ServiceHarness]:
    """The whole service with a database."""
    settings = {"database_url": database_url, "lsv_master_key": MASTER_KEY} | changed
    async with running(root, sockets, **settings) as harness:
        yield harness


@dataclass
class ProtectedFilm:
    """A film in the store whose bytes are a pack."""

    video_id: str
    asset_id: str
    pack: bytes
    key_id: UUID

    @property
    def lsv(self) -> str:
        """The path of its bytes."""
        return f"/api/videos/{self.video_id}/lsv"


async def issue_key(harness: ServiceHarness, video_id: str, asset_id: str) -> ContentKey:
    """Ask for a content key as the packer does."""
    async with connect(f"127.0.0.1:{harness.service.grpc.port}") as channel:
        request = stream_pb2.IssueContentKeyRequest(video_id=video_id, asset_id=asset_id)
        answer = await call(StreamServiceStub(channel).IssueContentKey, request, deadline_sec=30)
    return ContentKey(UUID(answer.key_id), answer.secret)


async def protect(harness: ServiceHarness, pieces: tuple[Piece, ...] = PIECES, **fields: Any) -> ProtectedFilm:
    """Pack a film with a key of the service, put it into the store and add it to catalog."""
    video_id, asset_id = new_id(), new_id()
    key = await issue_key(harness, video_id, asset_id)
    description = PackDescription(
        content_id=UUID(video_id),
        content_version=VERSION,
        pack_id=uuid4(),
        key_id=key.id,
        mime_type=DESCRIPTION.mime_type,
        timescale=DESCRIPTION.timescale,
    )
    pack = make_pack(pieces, description, key)
    known = {"asset_id": asset_id, "asset_kind": "lsv", "version": VERSION} | fields
    added = harness.store(f"{asset_id}.lsv", pack, **known)
    answer = harness.catalog.sources.pop(added)
    answer.video_id = video_id
    harness.catalog.sources[video_id] = answer
    return ProtectedFilm(video_id, asset_id, pack, key.id)


def text_of(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_of(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def open_online(device: Device, film: ProtectedFilm, session: dict[str, Any], session_id: str | None = None) -> bytes:
    """Return the content key of a play session, as its device unwraps it."""
    unwrapped = device.unwrap_online(
        raw_of(session["wrapped_key"]),
        raw_of(session["server_public_key"]),
        session_id=UUID(session_id or session["session_id"]).bytes,
        video_id=UUID(film.video_id).bytes,
    )
    assert unwrapped.content_key_id == film.key_id.bytes
    return unwrapped.content_key


def play(film: ProtectedFilm, content_key: bytes, pack: bytes) -> list[bytes]:
    """Return the plaintext of every record of a pack."""
    reader = open_pack(pack, ContentKey(film.key_id, content_key), UUID(film.video_id), VERSION)
    return [reader.read(index) for index in range(len(reader.header.entries))]
