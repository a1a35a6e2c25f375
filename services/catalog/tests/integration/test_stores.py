"""The files of the library in each kind of media store."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast
from xml.etree.ElementTree import Element

import pytest

from kit.auth.tokens import Caller
from kit.db.database import Database, Transaction
from kit.errors import ApiError
from kit.ids import new_id
from kit.media_store import BucketStore, WritableStore
from kit.origins import Bucket, OriginClient
from kit.origins import bucket as bucket_module
from kit.origins.client import OriginRequest
from kit.origins.s3_answers import ObjectEntry, objects_of
from services.catalog.artwork import ArtworkKind, PictureFormat
from services.catalog.captions import Track
from services.catalog.domain import LSV, PackInfo, UploadStatus, source_reference
from services.catalog.http.multipart_upload import receive
from services.catalog.models import Artwork, ResumableUpload, Video
from services.catalog.repository.videos import VideoRepository
from services.catalog.schemas import encode_card
from services.catalog.service import ArtworkReader, Picture, Purge, Sweep, Videos
from services.catalog.service.arrival import new_video
from services.catalog.service.cards import Cards
from services.catalog.service.embedded_subtitles import EmbeddedTrack, attach_embedded
from services.catalog.service.protection import PackIntake
from services.catalog.service.subtitles import NewSubtitles, Subtitles
from services.catalog.tests.conftest import PART_BYTES
from services.catalog.tests.support import UploadedLabels

ANN = Caller("ann", "admin", "active")
VTT = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"
LIMIT = 1 << 20
CARDS = Cards(encode_card)


async def add_video(database: Database, store: WritableStore, protection: str = "") -> Video:
    """Add a video that can be watched, with its source."""
    video_id = new_id()
    labels = UploadedLabels("Film", protection=protection)
    video = new_video(
        video_id, source_reference(video_id), size_bytes=4, mime_type="video/mp4", labels=labels, uploader_id="ann"
    )
    video.status = "ready"
    await store.put(source_reference(video_id), b"film")
    async with database.write() as transaction:
        VideoRepository(transaction.session).add(video)
    return video


async def exists(store: WritableStore, reference: str) -> bool:
    try:
        await store.size(reference)
    except FileNotFoundError:
        return False
    return True


async def files(store: WritableStore, reference: str) -> list[str]:
    return [entry.name async for entry in store.folders(reference)]


async def test_pictures_are_read(sqlite: Database, store: WritableStore) -> None:
    reader = ArtworkReader(cast("Videos", None), store)
    picture = Picture("videos/v1/posters-1/poster-320.jpg", '"x"', PictureFormat.JPEG, 1)
    assert await reader.read("v1", picture) is None
    await store.put(picture.reference, b"picture")
    assert await reader.read("v1", picture) == b"picture"


async def test_a_bucket_that_is_away_is_said_so(bucket: Bucket) -> None:
    class Away:
        def send(self, request: OriginRequest) -> None:
            raise PermissionError(request.method)

    bucket._client = cast("OriginClient", Away())
    reader = ArtworkReader(cast("Videos", None), BucketStore(bucket, "marquee"))
    with pytest.raises(ApiError) as refused:
        await reader.read("v1", Picture("videos/v1/thumbnail.jpg", '"x"', PictureFormat.JPEG, 1))
    assert refused.value.code == "STREAM_FILE_UNAVAILABLE"


async def test_subtitles_are_stored_replaced_and_removed(sqlite: Database, store: WritableStore) -> None:
    video = await add_video(sqlite, store)
    subtitles = Subtitles(sqlite, store)
    new = NewSubtitles(Track("en"), "", VTT, "")
    first, _ = await subtitles.put(video.id, new, ANN, "")
    assert await subtitles.read(first) == VTT
    second, _ = await subtitles.put(video.id, new, ANN, "")
    assert not await exists(store, first.reference)
    assert await subtitles.read(second) == VTT
    await subtitles.delete(video.id, "en", ANN, "")
    assert not await exists(store, second.reference)
    with pytest.raises(ApiError):
        await subtitles.read(second)


async def test_subtitles_of_a_film_are_taken(sqlite: Database, store: WritableStore) -> None:
    video = await add_video(sqlite, store)
    folder = f"videos/{video.id}/subtitles-{new_id()}"
    await store.put(f"{folder}/subtitles-2.vtt", VTT)
    subtitles = Subtitles(sqlite, store)
    tracks = [EmbeddedTrack(index, language, "", False, False) for index, language in ((2, "eng"), (3, "kor"))]
    await attach_embedded(subtitles, store, video.id, folder, tracks)
    [found] = await subtitles.list(video.id, ANN)
    assert (found.language, await subtitles.read(found)) == ("en", VTT)


async def test_a_pack_must_be_there_as_it_was_reported(sqlite: Database, store: WritableStore) -> None:
    video = await add_video(sqlite, store, LSV)
    intake = PackIntake(store, "remove")
    reference = f"videos/{video.id}/protect-{new_id()}/pack.lsv"
    for content in (None, b"half"):
        if content is not None:
            await store.put(reference, content)
        stored = await intake.stored_bytes(reference)
        async with sqlite.write() as transaction:
            locked = await VideoRepository(transaction.session).get_locked(video.id)
            assert locked is not None
            with pytest.raises(OSError, match="not 10"):
                await intake.add_pack(transaction, locked, reference, PackInfo(str(video.pack_asset_id), 10, 2), stored)
    await store.put(reference, b"0123456789")
    stored = await intake.stored_bytes(reference)
    async with sqlite.write() as transaction:
        locked = await VideoRepository(transaction.session).get_locked(video.id)
        assert locked is not None
        await intake.add_pack(transaction, locked, reference, PackInfo(str(video.pack_asset_id), 10, 2), stored)
        assert [asset.reference for asset in locked.assets] == [source_reference(video.id), reference]


async def test_the_sweep_removes_what_no_row_names(sqlite: Database, store: WritableStore) -> None:
    video, packed = await add_video(sqlite, store), await add_video(sqlite, store, LSV)
    kept, left = (f"videos/{video.id}/posters-{new_id()}" for _ in range(2))
    orphan, promised = new_id(), new_id()
    for reference in (f"{kept}/poster-320.jpg", f"{left}/poster-320.jpg", source_reference(orphan)):
        await store.put(reference, b"x")
    await store.put(source_reference(promised), b"x")
    now = datetime.now(UTC)
    async with sqlite.write() as transaction:
        transaction.session.add(
            Artwork(id=new_id(), video_id=video.id, kind=ArtworkKind.POSTERS, reference=kept, created_at=now)
        )
        transaction.session.add(
            ResumableUpload(
                id=new_id(),
                uploader_id="ann",
                status=UploadStatus.RECEIVING,
                received_bytes=0,
                video_id=promised,
                title="",
                description="",
                tags=[],
                client_metadata="",
                created_at=now,
                updated_at=now,
                expires_at=now,
            )
        )
        locked = await VideoRepository(transaction.session).get_locked(packed.id)
        assert locked is not None
        # A crash came after the transaction that turned to the pack.
        await VideoRepository(transaction.session).remove_assets(locked, locked.assets)
    sweep = Sweep(sqlite, store)
    await sweep.once(0)
    assert await exists(store, source_reference(orphan))
    await sweep.once(time.time() + 60)
    assert set(await files(store, "videos")) - {packed.id} == {video.id, promised}
    assert await files(store, f"videos/{video.id}") == [kept.rpartition("/")[2]]
    assert not await exists(store, source_reference(packed.id))
    assert await exists(store, source_reference(video.id))


async def test_the_sweep_keeps_a_source_in_the_making(sqlite: Database, store: WritableStore) -> None:
    async with store.writer(source_reference(new_id()), LIMIT) as writer:
        await writer.write(bytes(300_000))
        await Sweep(sqlite, store).once(time.time() - 3600)
        await writer.complete()


async def test_what_is_purged_leaves_no_file(sqlite: Database, store: WritableStore) -> None:
    video, other = await add_video(sqlite, store), await add_video(sqlite, store)
    async with sqlite.write() as transaction:
        locked = await VideoRepository(transaction.session).get_locked(video.id)
        assert locked is not None
        locked.deleted_at = datetime.now(UTC) - timedelta(days=1)
    assert await Purge(sqlite, store, timedelta(0)).once(datetime.now(UTC)) == 1
    assert not await store.has_folder(f"videos/{video.id}")
    assert await exists(store, source_reference(other.id))


def form(content: bytes) -> bytes:
    head = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="x.mp4"\r\n\r\n'
    return head + content + b"\r\n--frontier--\r\n"


async def blocks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]


async def upload(videos: Videos, store: WritableStore, body: bytes) -> Video:
    headers = {"content-type": "multipart/form-data; boundary=frontier", "content-length": str(len(body))}
    async with receive(headers, blocks(body), store, 1 << 30) as received:
        return await videos.add(received, "ann")


@pytest.mark.parametrize("size", [0, 4, 3_000_000])
async def test_a_form_becomes_the_source_of_its_video(sqlite: Database, store: WritableStore, size: int) -> None:
    film = os.urandom(size)
    video = await upload(Videos(sqlite, store, CARDS), store, form(film))
    assert await store.read(source_reference(video.id), 1 << 30) == film
    [asset] = video.assets
    assert (asset.size_bytes, asset.sha256) == (size, hashlib.sha256(film).hexdigest())
    await Sweep(sqlite, store).once(time.time() + 60)
    assert await exists(store, source_reference(video.id))


async def test_a_form_that_breaks_off_leaves_nothing(sqlite: Database, store: WritableStore) -> None:
    with pytest.raises(ApiError):
        await upload(Videos(sqlite, store, CARDS), store, form(bytes(3_000_000))[:-20])
    assert await files(store, "videos") == []
    assert await store.clear_unfinished(time.time() + 60) == []


async def test_a_duplicate_that_is_refused_leaves_nothing(sqlite: Database, store: WritableStore) -> None:
    videos = Videos(sqlite, store, CARDS, "refuse")
    first = await upload(videos, store, form(b"film"))
    with pytest.raises(ApiError) as refused:
        await upload(videos, store, form(b"film"))
    assert refused.value.details == {"video_id": first.id}
    assert await files(store, "videos") == [first.id]


async def test_a_film_that_took_long_to_send_is_not_taken_for_a_leftover(
    sqlite: Database, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amazon's servers date an object by the beginning of its upload."""

    def as_amazon(page: Element) -> list[ObjectEntry]:
        return [replace(each, modified=0.0) if each.key.endswith("/source") else each for each in objects_of(page)]

    monkeypatch.setattr(bucket_module, "objects_of", as_amazon)
    store = BucketStore(bucket, "marquee", PART_BYTES)
    sweep = Sweep(sqlite, store)

    class Waiting(Database):
        """The sweep comes between the end of the file and the row."""

        @asynccontextmanager
        async def write(self) -> AsyncIterator[Transaction]:
            await sweep.once(time.time() - 3600)
            async with super().write() as transaction:
                yield transaction

    waiting = Waiting(str(sqlite.engine.url))
    video = await upload(Videos(waiting, store, CARDS), store, form(bytes(200_000)))
    assert await store.size(source_reference(video.id)) == 200_000
    await waiting.close()
