"""The protocol of resumable uploads, as a client sees it (tus 1.0.0)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kit.testing.fakes import as_user
from marquee.events.v1 import video_pb2
from services.catalog.tests.support import ADMIN, ANN, Catalog

FILM = bytes(range(256)) * 300
VERSION = {"Tus-Resumable": "1.0.0"}


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


async def create(
    catalog: Catalog, length: int | None = len(FILM), user: dict[str, str] = ADMIN, **values: str
) -> httpx.Response:
    size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    headers = user | VERSION | size | {"Upload-Metadata": metadata(filename="밤 기차.mp4", **values)}
    return await catalog.http.post("/api/uploads", headers=headers)


async def begin(catalog: Catalog, length: int | None = len(FILM), user: dict[str, str] = ADMIN, **values: str) -> str:
    answer = await create(catalog, length, user, **values)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


async def send(
    catalog: Catalog, path: str, offset: int, content: Any, user: dict[str, str] = ADMIN, **more: str
) -> httpx.Response:
    headers = user | VERSION | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    extra = {name.replace("_", "-"): value for name, value in more.items()}
    return await catalog.http.patch(path, headers=headers | extra, content=content)


async def offset_of(catalog: Catalog, path: str, user: dict[str, str] = ADMIN) -> int:
    answer = await catalog.http.head(path, headers=user | VERSION)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def files_left(catalog: Catalog) -> list[str]:
    return [str(path.relative_to(catalog.media)) for path in catalog.media.rglob("*") if path.is_file()]


async def test_an_upload_in_three_parts_becomes_one_video(catalog: Catalog) -> None:
    path = await begin(catalog, title="Night train", tags="a,b", filetype="video/mp4")
    first = await send(catalog, path, 0, FILM[:1000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "1000")
    assert first.headers["Upload-Expires"].endswith("GMT")
    assert "Marquee-Video-Id" not in first.headers
    assert (await send(catalog, path, 1000, FILM[1000:5000])).headers["Upload-Offset"] == "5000"
    assert await offset_of(catalog, path) == 5000
    last = await send(catalog, path, 5000, FILM[5000:])
    video_id = last.headers["Marquee-Video-Id"]
    assert last.headers["Upload-Offset"] == str(len(FILM))
    video = await catalog.get(f"/api/videos/{video_id}")
    assert (video["title"], video["tags"], video["status"]) == ("Night train", ["a", "b"], "processing")
    assert video["files"][0]["size"] == len(FILM)
    assert (catalog.media / "videos" / video_id / "source").read_bytes() == FILM
    upload = await catalog.get(path)
    assert (upload["status"], upload["video_id"], upload["offset"]) == ("finished", video_id, len(FILM))
    assert await catalog.event_types(1) == ["video.uploaded"]
    event = catalog.about_videos()[0].read(video_pb2.VideoUploaded)
    assert (event.video_id, event.size_bytes) == (video_id, len(FILM))
    assert files_left(catalog) == [f"videos/{video_id}/source"]
    again = await send(catalog, path, len(FILM), b"")
    assert again.status_code == 409
    assert (await catalog.get("/api/videos"))["total"] == 1


async def test_options_say_what_is_spoken(catalog: Catalog) -> None:
    answer = await catalog.http.options("/api/uploads", headers=ADMIN)
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(100 * 2**30)
    assert set(answer.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "checksum", "termination", "expiration",
    }  # fmt: skip
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"


async def test_another_version_is_refused(catalog: Catalog) -> None:
    for version in ({}, {"Tus-Resumable": "0.2.2"}):
        answer = await catalog.http.post("/api/uploads", headers=ADMIN | version | {"Upload-Length": "5"})
        assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert answer.json()["error"]["code"] == "UPLOAD_VERSION_UNSUPPORTED"


async def test_creation_with_upload(catalog: Catalog) -> None:
    headers = ADMIN | VERSION | {"Upload-Length": str(len(FILM)), "Content-Type": "application/offset+octet-stream"}
    part = await catalog.http.post("/api/uploads", headers=headers, content=FILM[:99])
    assert (part.status_code, part.headers["Upload-Offset"]) == (201, "99")
    whole = await catalog.http.post("/api/uploads", headers=headers, content=FILM)
    assert (whole.status_code, whole.headers["Upload-Offset"]) == (201, str(len(FILM)))
    assert (await catalog.get(f"/api/videos/{whole.headers['Marquee-Video-Id']}"))["title"] == "Untitled"
    too_long = await catalog.http.post("/api/uploads", headers=headers, content=FILM + b"!")
    assert too_long.status_code == 413
    wrong = {"Upload-Checksum": f"sha1 {base64.b64encode(bytes(20)).decode()}"}
    assert (await catalog.http.post("/api/uploads", headers=headers | wrong, content=FILM)).status_code == 460
    assert len(files_left(catalog)) == 2


async def test_the_length_may_come_later(catalog: Catalog) -> None:
    path = await begin(catalog, None)
    head = await catalog.http.head(path, headers=ADMIN | VERSION)
    assert (head.headers["Upload-Defer-Length"], head.headers.get("Upload-Length")) == ("1", None)
    assert (await send(catalog, path, 0, FILM)).headers["Upload-Offset"] == str(len(FILM))
    assert (await send(catalog, path, len(FILM), b"", Upload_Length="5")).status_code == 409
    last = await send(catalog, path, len(FILM), b"", Upload_Length=str(len(FILM)))
    assert (catalog.media / "videos" / last.headers["Marquee-Video-Id"] / "source").read_bytes() == FILM


async def test_the_length_is_declared_once(catalog: Catalog) -> None:
    path = await begin(catalog, None)
    assert (await send(catalog, path, 0, FILM[:10], Upload_Length="20")).status_code == 204
    assert (await send(catalog, path, 10, FILM[:5], Upload_Length="30")).status_code == 409
    assert (await send(catalog, path, 10, FILM[10:20], Upload_Length="20")).headers["Marquee-Video-Id"]


@pytest.mark.parametrize("name", ["sha1", "sha256", "md5"])
async def test_bytes_with_a_checksum_count_only_when_it_holds(catalog: Catalog, name: str) -> None:
    path = await begin(catalog)
    digest = base64.b64encode(hashlib.new(name, FILM).digest()).decode()
    wrong = await send(catalog, path, 0, FILM[:-1] + b"?", Upload_Checksum=f"{name} {digest}")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (460, "UPLOAD_CHECKSUM_MISMATCH")
    assert await offset_of(catalog, path) == 0
    right = await send(catalog, path, 0, FILM, Upload_Checksum=f"{name} {digest}")
    assert (catalog.media / "videos" / right.headers["Marquee-Video-Id"] / "source").read_bytes() == FILM


async def test_a_method_may_be_overridden(catalog: Catalog) -> None:
    path = await begin(catalog)
    headers = ADMIN | VERSION | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    answer = await catalog.http.post(path, headers=headers | {"X-HTTP-Method-Override": "PATCH"}, content=FILM[:7])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "7")
    answer = await catalog.http.post(path, headers=ADMIN | VERSION | {"X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 204
    assert (await catalog.http.get(path, headers=ADMIN)).status_code == 404


async def test_termination_removes_the_bytes_but_never_a_video(catalog: Catalog) -> None:
    path = await begin(catalog)
    await send(catalog, path, 0, FILM[:1000])
    assert (await catalog.http.delete(path, headers=ADMIN | VERSION)).status_code == 204
    assert files_left(catalog) == []
    assert (await send(catalog, path, 1000, FILM[1000:])).status_code == 404
    whole = await begin(catalog)
    video_id = (await send(catalog, whole, 0, FILM)).headers["Marquee-Video-Id"]
    assert (await catalog.http.delete(whole, headers=ADMIN | VERSION)).status_code == 204
    assert (catalog.media / "videos" / video_id / "source").exists()


@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        ({}, 422, "Upload-Length"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 422, "Upload-Length"),
        ({"Upload-Length": "-5"}, 422, "Upload-Length"),
        ({"Upload-Length": "+5"}, 422, "Upload-Length"),
        ({"Upload-Length": "5", "Upload-Metadata": "title ?"}, 422, "Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="}, 422, "Upload-Metadata"),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(corporation_id="x")}, 422, "corporation_id"),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(protection="drm")}, 422, "protection"),
        ({"Upload-Length": "5", "Upload-Metadata": metadata(filetype="image/png")}, 422, None),
        ({"Upload-Length": "5", "Upload-Concat": "partial"}, 422, "Upload-Concat"),
        ({"Upload-Length": "0"}, 422, None),
        ({"Upload-Length": str(2**50)}, 413, None),
    ],
)
async def test_a_bad_creation_is_refused(
    catalog: Catalog, headers: dict[str, str], status: int, field: str | None
) -> None:
    answer = await catalog.http.post("/api/uploads", headers=ADMIN | VERSION | headers)
    assert answer.status_code == status, answer.text
    if field:
        assert answer.json()["error"]["details"]["fields"][0]["field"] == field


async def test_a_bad_part_is_refused(catalog: Catalog) -> None:
    path = await begin(catalog)
    assert (await send(catalog, path, 3, FILM[3:])).json()["error"]["details"] == {"offset": 0}
    assert (await send(catalog, path, 0, FILM, Content_Type="video/mp4")).status_code == 415
    assert (await send(catalog, path, 0, FILM + b"!")).status_code == 413
    assert (await send(catalog, path, 0, FILM, Upload_Checksum="crc32 AAAA")).status_code == 422
    assert await offset_of(catalog, path) == 0


async def test_a_body_longer_than_the_file_is_refused_where_it_ends(catalog: Catalog) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield FILM

    path = await begin(catalog)
    answer = await send(catalog, path, 0, endless())
    assert (answer.status_code, answer.json()["error"]["details"]) == (413, {"limit_bytes": len(FILM)})


async def test_uploads_are_their_uploaders_alone(catalog: Catalog) -> None:
    path = await begin(catalog)
    other = as_user("other", "admin")
    assert (await catalog.http.head(path, headers=other | VERSION)).status_code == 404
    assert (await send(catalog, path, 0, FILM, user=other)).status_code == 404
    assert (await catalog.http.delete(path, headers=other | VERSION)).status_code == 404
    assert (await create(catalog, user=ANN)).status_code == 403
    assert (await catalog.http.post("/api/uploads", headers=VERSION)).status_code == 401


@pytest.mark.parametrize("uploads", ["members"])
async def test_members_upload_into_their_own_corporation(catalog: Catalog) -> None:
    own, foreign = "018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"
    member = as_user("ann", corporation_id=own)
    path = await begin(catalog, user=member)
    video_id = (await send(catalog, path, 0, FILM, user=member)).headers["Marquee-Video-Id"]
    assert (await catalog.get(f"/api/videos/{video_id}"))["corporation_id"] == own
    assert (await create(catalog, user=member, corporation_id=foreign)).status_code == 403
    # Who has moved to another corporation meanwhile can't go on with what was the old one's.
    path = await begin(catalog, user=member)
    assert (await send(catalog, path, 0, FILM, user=as_user("ann", corporation_id=foreign))).status_code == 403


async def test_of_two_clients_one_waits(catalog: Catalog) -> None:
    path = await begin(catalog)
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield FILM[:100]
        has_begun.set()
        await may_end.wait()
        yield FILM[100:]

    first = asyncio.create_task(send(catalog, path, 0, slow()))
    async with asyncio.timeout(60):
        await has_begun.wait()
        second = await send(catalog, path, 0, b"x" * len(FILM))
        assert (second.status_code, second.json()["error"]["code"]) == (423, "UPLOAD_LOCKED")
        may_end.set()
        video_id = (await first).headers["Marquee-Video-Id"]
    assert (catalog.media / "videos" / video_id / "source").read_bytes() == FILM


async def test_a_terminated_upload_ends_while_it_is_written(catalog: Catalog) -> None:
    path = await begin(catalog)
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield FILM[:100]
        has_begun.set()
        await may_end.wait()
        yield FILM[100:]

    writing = asyncio.create_task(send(catalog, path, 0, slow()))
    async with asyncio.timeout(60):
        await has_begun.wait()
        assert (await catalog.http.delete(path, headers=ADMIN | VERSION)).status_code == 204
        may_end.set()
        assert (await writing).status_code in (404, 503)
    assert (await catalog.get("/api/videos"))["total"] == 0
    assert not any("videos/" in name for name in files_left(catalog))


async def test_the_same_bytes_are_noticed(catalog: Catalog) -> None:
    first = await catalog.uploaded()
    path = await begin(catalog, 4)
    answer = await send(catalog, path, 0, b"film")
    assert answer.headers["Marquee-Duplicate-Of"] == first
    video = await catalog.get(f"/api/videos/{answer.headers['Marquee-Video-Id']}")
    assert video["duplicate_of"] == first
    assert (await catalog.get(path))["duplicate_of"] == first
    third = await catalog.upload()
    assert (third.status_code, third.json()["duplicate_of"]) == (201, first)
    assert (await catalog.upload(content=b"another")).json()["duplicate_of"] is None


async def test_a_corporations_films_are_not_compared_with_anothers(catalog: Catalog) -> None:
    acme, globex = "018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"
    first = await catalog.uploaded(corporation_id=acme)
    assert (await catalog.upload({"corporation_id": globex})).json()["duplicate_of"] is None
    assert (await catalog.upload({"corporation_id": acme})).json()["duplicate_of"] == first
    assert (await catalog.upload()).json()["duplicate_of"] is None
