"""Films that are uploaded as protected: packed, ready, served as packs only, failed."""

from __future__ import annotations

import base64

import pytest

from kit.ids import new_id
from kit.testing.fakes import event_of
from marquee.events.v1 import media_pb2, video_pb2
from services.catalog.artwork import ArtworkKind
from services.catalog.tests.protecting import (
    ARTWORK,
    FILM,
    PACK,
    asked,
    get_source,
    pack_event,
    plaintext,
    protected,
    report_pack,
    status,
    upload,
)
from services.catalog.tests.support import ADMIN, Catalog


async def test_upload_asks_for_a_pack(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    request = await asked(catalog, video_id)
    assert request.pack_asset_id
    assert request.content_version == 1
    plain = await catalog.uploaded(protection="none")
    assert (await catalog.get(f"/api/videos/{plain}"))["protection"] is None
    assert (await asked(catalog, plain)).pack_asset_id == ""


async def test_resumable_upload_asks_for_a_pack(catalog: Catalog) -> None:
    values = {"filename": b"x.mp4", "protection": b"lsv"}
    headers = ADMIN | {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(FILM)),
        "Upload-Metadata": ",".join(f"{name} {base64.b64encode(value).decode()}" for name, value in values.items()),
        "Content-Type": "application/offset+octet-stream",
    }
    created = await catalog.http.post("/api/uploads", headers=headers, content=FILM)
    video_id = created.headers["Marquee-Video-Id"]
    assert (await catalog.get(f"/api/videos/{video_id}"))["protection"] == "lsv"
    assert (await asked(catalog, video_id)).pack_asset_id


@pytest.mark.parametrize("last", ["facts", "pack", "artwork", "failed artwork"])
async def test_ready_only_when_facts_artwork_and_pack_are_there(catalog: Catalog, last: str) -> None:
    """In whichever order they come."""
    video_id = await upload(catalog)
    request = await asked(catalog, video_id)

    async def facts() -> None:
        await catalog.report_probed(video_id)

    async def pack() -> None:
        await report_pack(catalog, video_id, request)

    async def artwork() -> None:
        if last == "failed artwork":
            await catalog.report_job(video_id, ["storyboard"], "failed", "DAMAGED")
        else:
            await catalog.report_artwork(video_id, ArtworkKind.STORYBOARD)

    for kind in (ArtworkKind.THUMBNAIL, ArtworkKind.POSTERS):
        await catalog.report_artwork(video_id, kind)
    steps = {"facts": facts, "pack": pack, "artwork": artwork}
    final = steps.pop(last.removeprefix("failed "))
    for step in steps.values():
        await step()
    assert await status(catalog, video_id) == "processing"
    assert plaintext(catalog)
    await final()
    assert await status(catalog, video_id) == "ready"
    assert plaintext(catalog) == []
    assert (await catalog.event_types(2)) == ["video.uploaded", "video.ready"]


async def test_text_subtitles_are_waited_for(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    details = media_pb2.MediaDetails(subtitles=[media_pb2.SubtitleTrack(index=2, text=True)])
    message = media_pb2.MediaProbed(
        video_id=video_id,
        duration_sec=1,
        mime_type="video/mp4",
        video_codec="H.264",
        width=2,
        height=2,
        details=details,
    )
    await catalog.report_probed(video_id, event_of("media.probed", message, subject=video_id))
    for kind in ARTWORK:
        await catalog.report_artwork(video_id, kind)
    await report_pack(catalog, video_id, await asked(catalog, video_id))
    assert await status(catalog, video_id) == "processing"
    await catalog.report_job(video_id, ["subtitles"], "retrying", "FILE_UNREADABLE")
    assert await status(catalog, video_id) == "processing"
    await catalog.report_job(video_id, ["subtitles"], "failed", "TIME_LIMIT")
    assert await status(catalog, video_id) == "ready"


async def test_pack_is_all_that_is_served(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    request = await asked(catalog, video_id)
    source = await get_source(catalog, video_id)
    assert (source.asset_kind, source.asset_id) == ("lsv", request.pack_asset_id)
    assert source.reference.endswith("/pack.lsv")
    assert (source.size_bytes, source.version) == (len(PACK), request.content_version)
    assert (source.mime_type, source.video_codec, source.duration_sec, source.width) == (
        "video/mp4", "H.264", 12.5, 1280,
    )  # fmt: skip
    video = await catalog.get(f"/api/videos/{video_id}")
    assert (video["protection"], video["width"], video["height"]) == ("lsv", 1280, 720)
    assert [(file["kind"], file["resolution"]) for file in video["files"]] == [("lsv", "1280x720")]
    assert {job["kind"]: job["state"] for job in video["jobs"]}["protect"] == "done"
    (listed,) = (await catalog.get("/api/videos?min_height=720&codec=H.264"))["items"]
    assert (listed["id"], listed["protection"]) == (video_id, "lsv")


async def test_repeated_report_changes_nothing(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    request = await asked(catalog, video_id)
    reference, event = await report_pack(catalog, video_id, request)
    await catalog.bus.deliver(event)
    await catalog.bus.deliver(pack_event(video_id, request, reference, len(PACK)))
    assert (catalog.media / reference).exists()
    assert len((await catalog.get(f"/api/videos/{video_id}"))["files"]) == 2


async def test_pack_that_was_not_asked_for_is_removed(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    other = video_pb2.VideoUploaded(pack_asset_id=new_id(), content_version=1)
    reference, _ = await report_pack(catalog, video_id, other)
    assert not (catalog.media / reference).parent.exists()
    assert [file["kind"] for file in (await catalog.get(f"/api/videos/{video_id}"))["files"]] == ["source"]


@pytest.mark.parametrize("content", [None, PACK[:-1]], ids=["missing", "cut off"])
async def test_source_stays_until_the_pack_is_seen(catalog: Catalog, content: bytes | None) -> None:
    video_id = await upload(catalog)
    reference = f"videos/{video_id}/protect-{new_id()}/pack.lsv"
    if content is not None:
        (catalog.media / reference).parent.mkdir()
        (catalog.media / reference).write_bytes(content)
    with pytest.raises(OSError):  # noqa: PT011 - the bus delivers it again
        await catalog.bus.deliver(pack_event(video_id, await asked(catalog, video_id), reference, len(PACK)))
    assert plaintext(catalog)


async def test_film_that_can_not_be_packed_fails_and_is_not_served(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    await catalog.report_probed(video_id)
    for kind in ARTWORK:
        await catalog.report_artwork(video_id, kind)
    await catalog.report_job(video_id, ["protect"], "failed", "NEEDS_TRANSCODING")
    video = await catalog.get(f"/api/videos/{video_id}")
    assert (video["status"], video["failure_code"]) == ("failed", "NEEDS_TRANSCODING")
    assert (await catalog.event_types(2)) == ["video.uploaded", "video.failed"]
    with pytest.raises(Exception, match="CONTENT_NOT_READY"):
        await get_source(catalog, video_id)
    # Another try asks for another pack, and for everything else.
    before = (await asked(catalog, video_id)).pack_asset_id
    assert (await catalog.http.post(f"/api/videos/{video_id}/process", headers=ADMIN)).status_code == 200
    again = await asked(catalog, video_id, "video.process_requested")
    assert again.pack_asset_id not in ("", before)
    assert list(again.kinds) == ["facts", "thumbnail", "posters", "storyboard", "subtitles", "protect"]
    await catalog.report_probed(video_id)
    assert await status(catalog, video_id) == "processing"
    await report_pack(catalog, video_id, again)
    assert await status(catalog, video_id) == "ready"
    assert plaintext(catalog) == []


async def test_film_that_is_none_is_discarded(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    await catalog.report_failed(video_id)
    assert await status(catalog, video_id) == "failed"
    assert not (catalog.media / "videos" / video_id).exists()


async def test_same_bytes_are_known_without_their_source(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    again = (await catalog.upload({}, FILM)).json()
    assert again["duplicate_of"] == video_id


async def test_all_films_are_processed_again_and_those_that_failed_are_packed(catalog: Catalog) -> None:
    video_id = await upload(catalog)
    await catalog.report_probed(video_id)
    await catalog.report_job(video_id, ["protect"], "failed", "DAMAGED")
    await catalog.http.post("/api/videos/process", headers=ADMIN)
    request = await asked(catalog, video_id, "video.process_requested")
    assert request.pack_asset_id
    assert "protect" in request.kinds
    assert await status(catalog, video_id) == "processing"
