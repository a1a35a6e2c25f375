"""The whole service but for the network: HTTP and gRPC on a real database, events on a bus the tests hold in hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format

from kit.auth.tokens import Caller
from kit.errors import ApiError
from kit.ids import new_id
from kit.rpc import call, connect
from kit.testing.queries import count_queries
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from marquee.events.v1 import video_pb2
from services.catalog.domain import may_see
from services.catalog.listing.criteria import Criteria
from services.catalog.listing.repository import VideoListRepository
from services.catalog.models import Video
from services.catalog.repository.videos import VideoRepository
from services.catalog.service import Sweep
from services.catalog.tests.support import ADMIN, ANN, Catalog


async def test_an_upload_is_stored_listed_and_published(catalog: Catalog) -> None:
    response = await catalog.upload({"title": "Night Train", "description": "d", "tags": "a, b"}, b"0123456789")
    assert response.status_code == 201
    video = response.json()
    assert (video["status"], video["title"], video["tags"]) == ("processing", "Night Train", ["a", "b"])
    (file,) = video["files"]
    assert file == {"id": file["id"], "kind": "source", "size": 10, "bitrate": None, "resolution": None}
    assert (catalog.media / "videos" / video["id"] / "source").read_bytes() == b"0123456789"
    assert await catalog.event_types(1) == ["video.uploaded"]
    event = catalog.bus.published[0]
    message = event.read(video_pb2.VideoUploaded)
    assert (event.subject, message.video_id, message.size_bytes) == (video["id"], video["id"], 10)
    assert (catalog.media / message.reference).is_file()
    assert str(catalog.media) not in json_format.MessageToJson(message)
    listed = await catalog.get("/api/videos")
    assert [item["id"] for item in listed["items"]] == [video["id"]]
    assert (listed["page"], listed["page_size"], listed["total"]) == (1, 20, 1)


async def test_members_upload_only_when_they_may(catalog: Catalog) -> None:
    refused = await catalog.upload(headers=ANN)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AUTH_FORBIDDEN")
    assert not list((catalog.media / "incoming").iterdir())


async def test_facts_make_it_ready_before_there_is_artwork(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await catalog.report_probed(video_id)
    video = await catalog.get(f"/api/videos/{video_id}", ANN)
    assert (video["status"], video["duration_sec"], video["width"]) == ("ready", 12.5, 1280)
    assert video["files"][0]["resolution"] == "1280x720"
    assert (video["thumbnail_url"], video["posters"], video["storyboard_url"]) == (None, [], None)
    assert await catalog.event_types(2) == ["video.uploaded", "video.ready"]


async def test_artwork_alone_does_not_make_it_ready(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await catalog.report_thumbnail(video_id)
    assert (await catalog.get(f"/api/videos/{video_id}"))["status"] == "processing"


async def test_a_picture_is_confirmed_only_to_those_who_may_see_it(catalog: Catalog) -> None:
    """The next user of a browser asks with what the cache holds of the one before."""
    video_id = await catalog.ready(corporation_id=new_id())
    path = f"/api/videos/{video_id}/thumbnail"
    tag = (await catalog.http.get(path, headers=ADMIN)).headers["etag"]
    for validator in (tag, "*"):
        answer = await catalog.http.get(path, headers={**ANN, "If-None-Match": validator})
        assert answer.status_code == 404
        assert answer.headers["cache-control"] == "no-store"


async def test_a_picture_that_is_known_costs_no_reading(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    path = f"/api/videos/{video_id}/thumbnail"
    tag = (await catalog.http.get(path, headers=ANN)).headers["etag"]
    (catalog.media / "videos" / video_id / "thumbnail.jpg").unlink()
    assert (await catalog.http.get(path, headers={**ANN, "If-None-Match": tag})).status_code == 304
    assert (await catalog.http.get(path, headers=ANN)).status_code == 503


async def test_a_report_that_comes_twice_counts_once(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    before = await catalog.get(f"/api/videos/{video_id}")
    event = await catalog.report_probed(video_id)
    once = await catalog.get(f"/api/videos/{video_id}")
    await asyncio.gather(*(catalog.report_probed(video_id, event) for _ in range(5)))
    assert await catalog.get(f"/api/videos/{video_id}") == once
    assert before["updated_at"] < once["updated_at"]
    assert await catalog.event_types(3) == ["video.uploaded", "video.ready", "video.updated"]


async def test_both_reports_at_once_make_it_ready_once(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await asyncio.gather(catalog.report_probed(video_id), catalog.report_thumbnail(video_id))
    assert (await catalog.get(f"/api/videos/{video_id}"))["status"] == "ready"
    assert (await catalog.event_types(2)).count("video.ready") == 1


async def test_what_can_never_play_fails_with_a_reason_and_leaves_nothing(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await catalog.report_failed(video_id)
    video = await catalog.get(f"/api/videos/{video_id}")
    assert (video["status"], video["failure_code"]) == ("failed", "NOT_A_VIDEO")
    assert video["failure_reason"] == "This is a text."
    assert video["files"] == []
    assert not (catalog.media / "videos" / video_id).exists()
    assert await catalog.event_types(2) == ["video.uploaded", "video.failed"]
    refused = await catalog.http.get(f"/api/videos/{video_id}", headers=ANN)
    assert refused.status_code == 404


async def test_a_failure_that_may_pass_keeps_the_file(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await catalog.report_failed(video_id, permanent=False)
    assert (catalog.media / "videos" / video_id / "source").is_file()
    response = await catalog.http.post("/api/videos/process", headers=ADMIN)
    assert (response.status_code, response.json()["requested"]) == (202, 1)
    assert (await catalog.event_types(3))[-1] == "video.process_requested"
    assert (await catalog.get(f"/api/videos/{video_id}"))["status"] == "processing"


async def test_reprocesses_one_failed_video_that_kept_its_file(catalog: Catalog) -> None:
    video_id, other = await catalog.uploaded(), await catalog.uploaded()
    await catalog.report_failed(video_id, permanent=False)
    await catalog.report_failed(other, permanent=False)
    path = f"/api/videos/{video_id}/process"
    assert (await catalog.http.post(path, headers=ANN)).status_code == 404, "a failed video is its uploader's alone"
    answer = await catalog.http.post(path, headers=ADMIN)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["failure_code"]) == ("processing", None)
    assert (await catalog.http.post(path, headers=ADMIN)).json()["status"] == "processing", "it may be said twice"
    assert (await catalog.get(f"/api/videos/{other}"))["status"] == "failed"
    types = await catalog.event_types(5)
    assert sorted(types) == ["video.failed"] * 2 + ["video.process_requested"] + ["video.uploaded"] * 2


async def test_refuses_to_reprocess_a_video_without_a_file(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    await catalog.report_failed(video_id)
    answer = await catalog.http.post(f"/api/videos/{video_id}/process", headers=ADMIN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UPLOAD_INVALID_MEDIA")
    assert (await catalog.get(f"/api/videos/{video_id}"))["status"] == "failed"


async def test_a_film_that_plays_survives_a_failed_second_look(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    await catalog.report_failed(video_id)
    assert (await catalog.get(f"/api/videos/{video_id}"))["status"] == "ready"
    assert (catalog.media / "videos" / video_id / "source").is_file()


async def test_reports_about_unknown_videos_are_taken_quietly(catalog: Catalog) -> None:
    await catalog.report_failed(new_id())
    await catalog.report_probed(new_id())
    assert (await catalog.get("/api/videos"))["total"] == 0


async def test_lists_page_search_and_sort(catalog: Catalog) -> None:
    titles = ["Alpha 50%", "beta_1", "감마", "Delta"]
    for title in titles:
        await catalog.ready(title=title)
    newest = await catalog.get("/api/videos")
    assert [item["title"] for item in newest["items"]] == titles[::-1]
    second = await catalog.get("/api/videos?page=2&page_size=3")
    assert ([item["title"] for item in second["items"]], second["total"]) == (["Alpha 50%"], 4)
    for query, found in (("50%", 1), ("%", 1), ("_", 1), ("BETA", 1), ("감", 1), ("nothing", 0), ("a", 3)):
        assert (await catalog.get(f"/api/videos?query={httpx.QueryParams({'q': query})['q']}".replace("%", "%25")))[
            "total"
        ] == found, query
    by_title = await catalog.get("/api/videos?sort=title")
    assert {item["title"] for item in by_title["items"]} == set(titles)
    for bad in ("sort=password", "sort=title;drop", "page=0", "page_size=101", "page=x"):
        refused = await catalog.http.get(f"/api/videos?{bad}", headers=ADMIN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_FAILED")
        assert refused.json()["error"]["details"]["fields"][0]["field"] == bad.partition("=")[0]


async def test_a_list_costs_the_same_queries_however_long(catalog: Catalog) -> None:
    await catalog.ready()
    with count_queries() as one:
        await catalog.get("/api/videos")
    for _ in range(5):
        await catalog.ready()
    with count_queries() as many:
        await catalog.get("/api/videos")
    assert one.count == many.count <= 5


async def test_the_list_shows_what_the_rule_allows(catalog: Catalog) -> None:
    acme = new_id()
    videos = [await catalog.ready(), await catalog.uploaded(), await catalog.ready(corporation_id=acme)]
    viewers = [
        Caller("ann", "member", "active"),
        Caller("bob", "member", "active", acme),
        Caller("root", "admin", "active"),
        Caller("cem", "member", "active", new_id()),
    ]
    async with catalog.database.read() as session:
        rows: list[Video] = list(await VideoRepository(session).by_ids(videos))
        for caller in viewers:
            listed, total = await VideoListRepository(session, caller).page(Criteria(), sort="title", limit=100)
            assert {video.id for video in listed} == {video.id for video in rows if may_see(caller, video)}
            assert total == len(listed)


@pytest.mark.parametrize("video_id", ["nope", "..%2F..%2Fetc", "00000000-0000-0000-0000-000000000000", "%00"])
async def test_unknown_ids_are_not_found(catalog: Catalog, video_id: str) -> None:
    for path in (f"/api/videos/{video_id}", f"/api/videos/{video_id}/thumbnail"):
        response = await catalog.http.get(path, headers=ADMIN)
        assert response.status_code == 404, path


async def test_other_services_get_the_source(catalog: Catalog, tmp_path: Path) -> None:
    ready, unready = await catalog.ready(title="t"), await catalog.uploaded()
    channel = connect(f"unix:{tmp_path / 'grpc'}")
    stub = CatalogServiceStub(channel)
    source = await call(stub.GetSource, catalog_pb2.GetSourceRequest(video_id=ready))
    assert (source.reference, source.size_bytes, source.video_codec) == (f"videos/{ready}/source", 4, "H.264")
    for video_id, code in ((unready, "CONTENT_NOT_READY"), (new_id(), "CONTENT_NOT_FOUND"), ("x", "CONTENT_NOT_FOUND")):
        with pytest.raises(ApiError) as refused:
            await call(stub.GetSource, catalog_pb2.GetSourceRequest(video_id=video_id))
        assert refused.value.code == code
    answer = await call(stub.GetVideos, catalog_pb2.GetVideosRequest(ids=[ready, unready, new_id()]))
    assert {video.id: video.status for video in answer.videos} == {ready: "ready", unready: "processing"}
    with pytest.raises(ApiError) as too_many:
        await call(stub.GetVideos, catalog_pb2.GetVideosRequest(ids=[new_id()] * 101))
    assert too_many.value.code == "VALIDATION_FAILED"
    await channel.close()


async def test_a_failed_commit_leaves_no_file(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> None:
        raise RuntimeError("the database goes away")

    monkeypatch.setattr(VideoRepository, "add", refuses)
    refused = await catalog.upload()
    assert (refused.status_code, refused.json()["error"]["code"]) == (500, "INTERNAL")
    assert not list((catalog.media / "videos").iterdir())
    assert not list((catalog.media / "incoming").iterdir())


async def test_the_sweep_removes_only_files_without_a_video(catalog: Catalog) -> None:
    kept = await catalog.ready()
    orphan = catalog.media / "videos" / new_id()
    orphan.mkdir()
    (orphan / "source").write_bytes(b"x")
    (catalog.media / "incoming" / "old.part").write_bytes(b"x")
    sweep = Sweep(catalog.database, catalog.store)
    await sweep.once(older_than=0)
    assert orphan.exists(), "too young to be called an orphan"
    await sweep.once(older_than=9e9)
    assert not orphan.exists()
    assert not (catalog.media / "incoming" / "old.part").exists()
    assert (catalog.media / "videos" / kept / "source").is_file()


async def test_health_tells_who_is_away(catalog: Catalog) -> None:
    response = await catalog.http.get("/api/health")
    assert response.status_code == 503
    body = response.json()
    assert body["status"] == "unhealthy"
    assert body["services"]["catalog"] == "healthy"
    assert body["services"]["auth"] == "unhealthy"
    assert body["dependencies"]["database"] == "connected"


async def test_an_upload_needs_no_broker(catalog: Catalog) -> None:
    catalog.bus.available = False
    video_id = await catalog.uploaded()
    assert catalog.bus.published == []
    catalog.bus.available = True
    assert await catalog.event_types(1) == ["video.uploaded"]
    assert catalog.bus.published[0].subject == video_id


async def test_no_path_of_the_server_leaves_it(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    shown = json.dumps([await catalog.get("/api/videos"), await catalog.get(f"/api/videos/{video_id}")])
    assert str(catalog.media) not in shown
    assert f"{video_id}/source" not in shown
