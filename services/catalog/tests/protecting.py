"""Films that are to be protected, and the packs that thumbnailer reports."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kit.events.envelope import Event
from kit.ids import new_id
from kit.rpc import call, connect
from kit.testing.fakes import event_of
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from marquee.events.v1 import media_pb2, video_pb2
from services.catalog.artwork import ArtworkKind
from services.catalog.tests.support import Catalog

FILM = b"a film in plain bytes"
PACK = b"sealed records"
ARTWORK = (ArtworkKind.THUMBNAIL, ArtworkKind.POSTERS, ArtworkKind.STORYBOARD)


async def get_source(catalog: Catalog, video_id: str) -> catalog_pb2.GetSourceResponse:
    async with connect(catalog.settings.grpc_bind) as channel:
        request = catalog_pb2.GetSourceRequest(video_id=video_id)
        answer: catalog_pb2.GetSourceResponse = await call(
            CatalogServiceStub(channel).GetSource, request, deadline_sec=60
        )
        return answer


async def upload(catalog: Catalog, **fields: str) -> str:
    response = await catalog.upload({"protection": "lsv", **fields}, FILM)
    assert response.status_code == 201, response.text
    assert response.json()["protection"] == "lsv"
    return str(response.json()["id"])


async def asked(catalog: Catalog, video_id: str, kind: str = "video.uploaded") -> Any:
    """Return the last request for a pack, once it is published."""
    message = video_pb2.VideoUploaded if kind == "video.uploaded" else video_pb2.VideoProcessRequested
    async with asyncio.timeout(60):
        while True:
            found = [e.read(message) for e in catalog.bus.published if e.type == kind and e.subject == video_id]
            if found:
                return found[-1]
            await catalog.bus.something_published()


async def report_pack(catalog: Catalog, video_id: str, request: Any, content: bytes = PACK) -> tuple[str, Event]:
    """Write a pack as thumbnailer does, and report it; return its reference, and the event."""
    reference = f"videos/{video_id}/protect-{new_id()}/pack.lsv"
    path = catalog.media / reference
    path.parent.mkdir()
    path.write_bytes(content)
    event = pack_event(video_id, request, reference, len(content))
    await catalog.bus.deliver(event)
    return reference, event


def pack_event(video_id: str, request: Any, reference: str, size: int) -> Event:
    message = media_pb2.MediaProtectedReady(
        video_id=video_id,
        asset_id=request.pack_asset_id,
        reference=reference,
        size_bytes=size,
        mime_type='video/mp4; codecs="avc1.64001f"',
        duration_sec=12.4,
        pack_id=new_id(),
        key_id=new_id(),
        content_version=request.content_version,
    )
    return event_of("media.protected_ready", message, subject=video_id)


async def protected(catalog: Catalog) -> str:
    """Return a film that was uploaded as protected, and is ready."""
    video_id = await upload(catalog)
    await catalog.report_probed(video_id)
    for kind in ARTWORK:
        await catalog.report_artwork(video_id, kind)
    await report_pack(catalog, video_id, await asked(catalog, video_id))
    return video_id


async def status(catalog: Catalog, video_id: str) -> str:
    return str((await catalog.get(f"/api/videos/{video_id}"))["status"])


def plaintext(catalog: Catalog) -> list[Path]:
    """Return the files of the store that hold the film's bytes."""
    return [path for path in catalog.media.rglob("*") if path.is_file() and FILM in path.read_bytes()]
