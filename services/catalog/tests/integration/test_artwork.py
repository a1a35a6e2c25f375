"""Artwork: how it is delivered, replaced and cleaned up, and what the API says of the jobs that make it."""

from __future__ import annotations

import pytest

from kit.testing.fakes import as_user, event_of
from marquee.events.v1 import media_pb2
from services.catalog.artwork import ArtworkKind
from services.catalog.service import Sweep
from services.catalog.tests.support import ADMIN, ANN, Catalog

WEBP = {"Accept": "image/avif,image/webp,*/*;q=0.8"}
FOR_A_YEAR = "private, max-age=31536000, immutable"


@pytest.fixture
async def video_id(catalog: Catalog) -> str:
    video_id = await catalog.uploaded()
    await catalog.report_probed(video_id)
    return video_id


async def test_posters_are_sent_by_width_and_format(catalog: Catalog, video_id: str) -> None:
    await catalog.report_artwork(video_id, ArtworkKind.THUMBNAIL)
    await catalog.report_artwork(video_id, ArtworkKind.POSTERS)
    video = await catalog.get(f"/api/videos/{video_id}", ANN)
    assert video["thumbhash"] == "AAAA"
    assert [poster["width"] for poster in video["posters"]] == [320, 640]
    for query, accept, name in (
        ("", {}, "poster-320.jpg"),
        ("?width=321", {}, "poster-640.jpg"),
        ("?width=5000", WEBP, "poster-640.webp"),
        ("", WEBP, "poster-320.webp"),
    ):
        for path in ("thumbnail", "poster"):
            answer = await catalog.http.get(f"/api/videos/{video_id}/{path}{query}", headers=ANN | accept)
            assert answer.content.startswith(name.encode())
            assert answer.headers["content-type"] == ("image/webp" if name.endswith("webp") else "image/jpeg")
            assert answer.headers["vary"] == "Accept, Authorization, Cookie"
            assert answer.headers["cache-control"] == "private, no-cache"


async def test_urls_with_the_version_are_cached_for_a_year(catalog: Catalog, video_id: str) -> None:
    await catalog.report_artwork(video_id, ArtworkKind.THUMBNAIL)
    await catalog.report_artwork(video_id, ArtworkKind.POSTERS)
    await catalog.report_artwork(video_id, ArtworkKind.STORYBOARD)
    video = await catalog.get(f"/api/videos/{video_id}", ANN)
    urls = [video["thumbnail_url"], *(poster["url"] for poster in video["posters"]), video["storyboard_url"]]
    for url in urls:
        answer = await catalog.http.get(url, headers=ANN)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOR_A_YEAR)
        other = await catalog.http.get(url.replace("?v=", "?v=9"), headers=ANN)
        assert other.headers["cache-control"] == "private, no-cache"


async def test_what_a_caller_has_is_not_sent_again(catalog: Catalog, video_id: str) -> None:
    await catalog.report_artwork(video_id, ArtworkKind.POSTERS)
    await catalog.report_artwork(video_id, ArtworkKind.STORYBOARD)
    tags = set()
    for path, accept in (("thumbnail", {}), ("thumbnail", WEBP), ("storyboard.vtt", {}), ("storyboard/1.jpg", {})):
        url = f"/api/videos/{video_id}/{path}"
        tag = (await catalog.http.get(url, headers=ANN | accept)).headers["etag"]
        tags.add(tag)
        again = await catalog.http.get(url, headers=ANN | accept | {"If-None-Match": f'"x", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert len(tags) == 4


async def test_storyboard_names_places_on_its_sheets(catalog: Catalog, video_id: str) -> None:
    path = f"/api/videos/{video_id}/storyboard"
    assert (await catalog.http.get(f"{path}.vtt", headers=ANN)).status_code == 404
    await catalog.report_artwork(video_id, ArtworkKind.STORYBOARD)
    cues = await catalog.http.get(f"{path}.vtt", headers=ANN)
    assert cues.headers["content-type"].startswith("text/vtt")
    blocks = cues.text.strip().split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len(blocks) == 102
    assert blocks[13].startswith("00:02:00.000 --> 00:02:10.000\n")
    assert blocks[13].endswith("#xywh=320,90,160,90")
    assert blocks[101].startswith("00:16:40.000 --> 00:16:45.000\n")
    url = blocks[101].partition("\n")[2]
    assert url.endswith("#xywh=0,0,160,90")
    sheet = await catalog.http.get(url.partition("#")[0], headers=ANN)
    assert sheet.content.startswith(b"storyboard-1.jpg")
    assert sheet.headers["cache-control"] == FOR_A_YEAR
    assert (await catalog.http.get(f"{path}/2.jpg", headers=ANN)).status_code == 404


@pytest.mark.parametrize("path", ["thumbnail", "poster", "storyboard.vtt", "storyboard/0.jpg"])
async def test_who_may_not_see_a_film_sees_no_artwork(catalog: Catalog, path: str) -> None:
    corporation = "0190b0a0-0000-7000-8000-000000000001"
    video_id = await catalog.ready(corporation_id=corporation)
    await catalog.report_artwork(video_id, ArtworkKind.STORYBOARD)
    url = f"/api/videos/{video_id}/{path}"
    assert (await catalog.http.get(url, headers=ANN)).status_code == 404
    assert (await catalog.http.get(url)).status_code == 401
    assert (await catalog.http.get(url, headers=as_user("eve", corporation_id=corporation))).status_code == 200


async def test_new_artwork_replaces_the_old_in_one_step(catalog: Catalog, video_id: str) -> None:
    old = await catalog.report_artwork(video_id, ArtworkKind.POSTERS, b"old")
    before = await catalog.get(f"/api/videos/{video_id}")
    new = await catalog.report_artwork(video_id, ArtworkKind.POSTERS, b"new")
    after = await catalog.get(f"/api/videos/{video_id}")
    assert not (catalog.media / old).exists()
    assert (catalog.media / new).exists()
    assert before["thumbnail_url"] == after["thumbnail_url"] is None, "posters are shown once there is a thumbnail"
    assert before["posters"] != after["posters"]
    assert (await catalog.http.get(after["posters"][0]["url"], headers=ANN)).content.endswith(b"new")


async def test_thumbnails_of_earlier_releases_are_replaced(catalog: Catalog, video_id: str) -> None:
    await catalog.report_thumbnail(video_id)
    legacy = catalog.media / "videos" / video_id / "thumbnail.jpg"
    assert legacy.exists()
    new = await catalog.report_artwork(video_id, ArtworkKind.THUMBNAIL)
    assert not legacy.exists()
    assert (catalog.media / "videos" / video_id / "source").exists()
    newer = await catalog.report_artwork(video_id, ArtworkKind.THUMBNAIL)
    assert not (catalog.media / new).exists()
    assert (catalog.media / newer).exists()


async def test_missing_pictures_are_reported(catalog: Catalog, video_id: str) -> None:
    folder = await catalog.report_artwork(video_id, ArtworkKind.POSTERS)
    (catalog.media / folder / "poster-320.jpg").unlink()
    assert (await catalog.http.get(f"/api/videos/{video_id}/thumbnail", headers=ANN)).status_code == 503


async def test_sweep_removes_artwork_that_no_row_names(catalog: Catalog, video_id: str) -> None:
    kept = [await catalog.report_artwork(video_id, kind) for kind in ArtworkKind]
    folder = catalog.media / "videos" / video_id
    left = folder / "posters-0190b0a0-0000-7000-8000-000000000001"
    left.mkdir()
    other = folder / "captions"
    other.mkdir()
    sweep = Sweep(catalog.database, catalog.store)
    await sweep.once(older_than=0)
    assert left.exists(), "it may be in the making"
    await sweep.once(older_than=folder.stat().st_mtime + 1)
    assert not left.exists()
    assert other.exists()
    assert all((catalog.media / each).exists() for each in kept)


async def test_jobs_are_shown_to_uploader_and_administrators(catalog: Catalog, video_id: str) -> None:
    await catalog.report_job(video_id, ["thumbnail", "posters", "storyboard", "unknown"], "waiting")
    await catalog.report_job(video_id, ["posters"], "running")
    await catalog.report_job(video_id, ["storyboard"], "failed", "DAMAGED")
    await catalog.report_artwork(video_id, ArtworkKind.THUMBNAIL)
    jobs = (await catalog.get(f"/api/videos/{video_id}", ADMIN))["jobs"]
    assert [(job["kind"], job["state"], job["code"]) for job in jobs] == [
        ("facts", "done", ""),
        ("posters", "running", ""),
        ("storyboard", "failed", "DAMAGED"),
        ("thumbnail", "done", ""),
    ]
    assert (await catalog.get(f"/api/videos/{video_id}", ANN))["jobs"] == []


async def test_reports_that_come_late_change_nothing(catalog: Catalog, video_id: str) -> None:
    message = media_pb2.MediaJobChanged(video_id=video_id, kinds=["thumbnail"], state="running")
    late = event_of("media.job_changed", message, subject=video_id)
    folder = catalog.media / "videos" / video_id / "thumbnail-0190b0a0-0000-7000-8000-000000000001"
    folder.mkdir()
    older = event_of(
        "media.thumbnail_ready",
        media_pb2.MediaThumbnailReady(video_id=video_id, reference=f"videos/{video_id}/{folder.name}/thumbnail.jpg"),
        subject=video_id,
    )
    shown = await catalog.report_artwork(video_id, ArtworkKind.THUMBNAIL)
    await catalog.bus.deliver(late)
    await catalog.bus.deliver(older)
    assert (await catalog.get(f"/api/videos/{video_id}"))["jobs"][-1]["state"] == "done"
    assert (catalog.media / shown).exists()
    assert not folder.exists()


async def test_tracks_chapters_and_colours_are_shown(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    details = media_pb2.MediaDetails(
        audio=[media_pb2.AudioTrack(index=1, codec="AAC", language="kor", channels=6, default=True)],
        subtitles=[media_pb2.SubtitleTrack(index=2, codec="SubRip", title="Signs", forced=True, text=True)],
        chapters=[media_pb2.Chapter(start_sec=0, end_sec=9.5, title="Intro")],
        color_transfer="smpte2084",
        hdr="PQ",
        rotation=90,
        frame_rate=23.976,
        bit_depth=10,
    )
    message = media_pb2.MediaProbed(
        video_id=video_id, duration_sec=12.5, mime_type="video/mp4", video_codec="HEVC", width=1, height=1,
        details=details,
    )  # fmt: skip
    await catalog.report_probed(video_id, event_of("media.probed", message, subject=video_id))
    media = (await catalog.get(f"/api/videos/{video_id}"))["media"]
    assert media["audio"][0] == {
        "index": 1, "codec": "AAC", "language": "kor", "title": "", "channels": 6, "default": True,
    }  # fmt: skip
    assert (media["subtitles"][0]["forced"], media["subtitles"][0]["title"]) == (True, "Signs")
    assert media["chapters"] == [{"start_sec": 0, "end_sec": 9.5, "title": "Intro"}]
    assert (media["hdr"], media["rotation"], media["bit_depth"]) == ("PQ", 90, 10)
