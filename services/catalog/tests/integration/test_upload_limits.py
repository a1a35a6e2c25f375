"""What is refused before a byte is read, a disk that fills up, and duplicates where they are refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kit.media import MediaStore
from kit.testing.fakes import as_user
from services.catalog.tests.integration.test_tus import FILM, VERSION, begin, create, files_left, metadata, send
from services.catalog.tests.support import ADMIN, Catalog
from services.catalog.uploads.repository import UploadRepository

ACME = "018f0000-0000-7000-8000-000000000001"


async def test_no_upload_begins_without_free_space(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediaStore, "free_bytes", lambda _store: 1000)
    answer = await create(catalog, 1001)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "STORAGE_FULL")
    assert answer.json()["error"]["details"] == {"needed_bytes": 1001, "free_bytes": 1000}
    # What an active upload has yet to send is kept free for it.
    path = await begin(catalog, 600)
    assert (await create(catalog, 600)).status_code == 507
    assert (await send(catalog, path, 0, FILM[:600])).status_code == 204
    assert (await create(catalog, 600)).status_code == 201


async def test_multipart_is_refused_by_its_announced_size(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediaStore, "free_bytes", lambda _store: 1 << 20)
    assert (await catalog.upload(content=bytes(8 << 20))).status_code == 507
    assert (await catalog.upload()).status_code == 201


async def test_a_disk_that_fills_up_leaves_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await begin(catalog)
    assert (await send(catalog, path, 0, FILM[:1000])).status_code == 204

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        answer = await send(catalog, path, 1000, FILM[1000:])
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "STORAGE_FULL")
    assert files_left(catalog) == []
    assert (await catalog.http.get(path, headers=ADMIN)).status_code == 404
    following = await begin(catalog)
    assert (await send(catalog, following, 0, FILM)).headers["Marquee-Video-Id"]


async def test_a_store_that_is_away_loses_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await begin(catalog)
    await send(catalog, path, 0, FILM[:1000])
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "away")))
        assert (await send(catalog, path, 1000, FILM[1000:])).status_code == 503
    assert (await send(catalog, path, 1000, FILM[1000:])).headers["Marquee-Video-Id"]


async def test_bytes_that_are_lost_end_the_upload(catalog: Catalog) -> None:
    path = await begin(catalog)
    await send(catalog, path, 0, FILM[:1000])
    (catalog.media / "uploads" / path.rpartition("/")[2]).unlink()
    assert (await send(catalog, path, 1000, FILM[1000:])).status_code == 404
    assert (await catalog.http.get(path, headers=ADMIN)).status_code == 404


async def test_files_are_taken_back_after_a_crash_at_the_end(catalog: Catalog) -> None:
    path = await begin(catalog)
    await send(catalog, path, 0, FILM[:1000])
    upload_id = path.rpartition("/")[2]
    folder: Path = catalog.media / "videos"
    async with catalog.database.read() as session:
        upload = await UploadRepository(session).get(upload_id)
        assert upload is not None
    catalog.layout.adopt(catalog.layout.partial(upload_id), f"videos/{upload.video_id}/source")
    last = await send(catalog, path, 1000, FILM[1000:])
    assert last.headers["Marquee-Video-Id"] == upload.video_id
    assert (folder / upload.video_id / "source").read_bytes() == FILM


@pytest.mark.parametrize("catalog_settings", [{"corporation_quota_bytes": 100_000}])
async def test_a_corporations_quota_counts_videos_and_uploads(catalog: Catalog) -> None:
    path = await begin(catalog, 60_000, corporation_id=ACME)
    answer = await create(catalog, 60_000, corporation_id=ACME)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "UPLOAD_QUOTA_EXCEEDED")
    assert answer.json()["error"]["details"] == {"quota_bytes": 100_000, "used_bytes": 60_000}
    await send(catalog, path, 0, FILM[:60_000])
    assert (await create(catalog, 60_000, corporation_id=ACME)).status_code == 413
    assert (await catalog.upload({"corporation_id": ACME}, bytes(50_000))).status_code == 413
    assert (await catalog.upload({"corporation_id": ACME}, bytes(30_000))).status_code == 201
    # The platform itself has none.
    assert (await catalog.upload(content=bytes(200_000))).status_code == 201
    # A length that comes late is checked as well.
    late = await begin(catalog, None, corporation_id=ACME)
    assert (await send(catalog, late, 0, FILM[:20_000])).json()["error"]["code"] == "UPLOAD_QUOTA_EXCEEDED"
    assert (await send(catalog, late, 0, b"", Upload_Length="20000")).status_code == 413


@pytest.mark.parametrize("catalog_settings", [{"duplicates": "refuse"}])
async def test_duplicates_are_refused_where_the_operator_says_so(catalog: Catalog) -> None:
    first = await catalog.uploaded()
    multipart = await catalog.upload()
    assert (multipart.status_code, multipart.json()["error"]["details"]) == (409, {"video_id": first})
    path = await begin(catalog, 4)
    answer = await send(catalog, path, 0, b"film")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "UPLOAD_CONFLICT")
    assert answer.json()["error"]["details"] == {"video_id": first}
    head = await catalog.http.head(path, headers=ADMIN | VERSION)
    assert (head.status_code, head.headers["Marquee-Duplicate-Of"]) == (409, first)
    assert (await send(catalog, path, 4, b"")).json()["error"]["details"] == {"video_id": first}
    assert (await catalog.get(path))["status"] == "refused"
    assert files_left(catalog) == [f"videos/{first}/source"]
    assert (await catalog.get("/api/videos"))["total"] == 1
    # The deleted one is no obstacle.
    assert (await catalog.http.delete(f"/api/videos/{first}", headers=ADMIN)).status_code == 204
    assert (await catalog.upload()).status_code == 201


async def test_nothing_is_made_for_a_caller_without_the_right(catalog: Catalog) -> None:
    headers = as_user("ann") | VERSION | {"Upload-Length": "5", "Upload-Metadata": metadata(filename="x.mp4")}
    assert (await catalog.http.post("/api/uploads", headers=headers)).status_code == 403
    assert files_left(catalog) == []
