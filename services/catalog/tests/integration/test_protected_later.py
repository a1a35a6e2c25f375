"""Protected films later on: protected after they were watched, packed again, kept sources, imports, leftovers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.ids import new_id
from services.catalog.domain import ImportState
from services.catalog.models import ImportFile
from services.catalog.repository.videos import VideoRepository
from services.catalog.service import Purge, Sweep
from services.catalog.service.import_changes import hide, process_anew, show
from services.catalog.tests.protecting import (
    ARTWORK,
    FILM,
    PACK,
    asked,
    get_source,
    plaintext,
    protected,
    report_pack,
    status,
)
from services.catalog.tests.support import ADMIN, ANN, Catalog


async def test_nothing_can_be_made_again_without_source(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    response = await catalog.http.post(f"/api/videos/{video_id}/process", headers=ADMIN)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONTENT_SOURCE_REMOVED")
    response = await catalog.http.post("/api/videos/process", headers=ADMIN)
    assert response.json()["requested"] == 0
    assert await status(catalog, video_id) == "ready"


async def test_film_without_source_is_packed_again_of_its_pack(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    first = await get_source(catalog, video_id)
    assert (await catalog.http.post(f"/api/videos/{video_id}/rekey", headers=ADMIN)).status_code == 202
    request = await asked(catalog, video_id, "video.process_requested")
    assert (request.reference, list(request.kinds)) == (first.reference, ["protect"])
    assert (request.present_pack_asset_id, request.present_content_version) == (first.asset_id, first.version)
    assert request.content_version > first.version
    assert (await get_source(catalog, video_id)).asset_id == first.asset_id, "until the new one is there"
    await report_pack(catalog, video_id, request, PACK * 2)
    second = await get_source(catalog, video_id)
    assert (second.asset_id, second.size_bytes) == (request.pack_asset_id, 2 * len(PACK))
    assert not (catalog.media / first.reference).exists()
    assert (await catalog.get(f"/api/videos/{video_id}"))["width"] == 1280, "the film's facts stay"


async def test_film_that_plays_is_protected_later_and_plays_meanwhile(catalog: Catalog) -> None:
    video_id = (await catalog.upload({}, FILM)).json()["id"]
    await catalog.report_probed(video_id)
    path = f"/api/videos/{video_id}/protect"
    assert (await catalog.http.post(path, headers=ANN)).status_code == 403
    assert (await catalog.http.post(path, headers=ADMIN)).status_code == 202
    request = await asked(catalog, video_id, "video.process_requested")
    assert (list(request.kinds), request.content_version) == (["protect"], 2)
    await catalog.report_job(video_id, ["protect"], "waiting")
    assert (await catalog.http.post(path, headers=ADMIN)).status_code == 202, "it waits already"
    assert (await asked(catalog, video_id, "video.process_requested")).pack_asset_id == request.pack_asset_id
    before = await get_source(catalog, video_id)
    assert (before.asset_kind, (await catalog.get(f"/api/videos/{video_id}"))["protection"]) == ("source", None)
    await report_pack(catalog, video_id, request)
    after = await get_source(catalog, video_id)
    assert (after.asset_kind, after.version) == ("lsv", 2)
    assert (await catalog.get(f"/api/videos/{video_id}"))["protection"] == "lsv"
    assert plaintext(catalog) == []
    types = await catalog.event_types(4)
    assert types[-1] == "video.updated", "stream forgets the source"
    (act,) = await catalog.acts(1)
    assert (act.action, act.subject_id) == ("video.protect_requested", video_id)


async def test_film_that_plays_and_can_not_be_packed_stays(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    await catalog.http.post(f"/api/videos/{video_id}/protect", headers=ADMIN)
    await asked(catalog, video_id, "video.process_requested")
    await catalog.report_job(video_id, ["protect"], "failed", "NEEDS_TRANSCODING")
    video = await catalog.get(f"/api/videos/{video_id}")
    assert (video["status"], video["protection"]) == ("ready", None)
    assert (await get_source(catalog, video_id)).asset_kind == "source"
    failed = next(job for job in video["jobs"] if job["kind"] == "protect")
    assert (failed["state"], failed["code"]) == ("failed", "NEEDS_TRANSCODING")


async def test_sweep_keeps_packs_and_removes_what_a_crash_left(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    folder = catalog.media / "videos" / video_id
    (folder / "source").write_bytes(FILM)
    (spool := folder / f"protect-{new_id()}").mkdir()
    (spool / "records").write_bytes(b"x")
    sweep = Sweep(catalog.database, catalog.store)
    now = datetime.now(UTC).timestamp()
    await sweep.once(now + 60)
    assert plaintext(catalog) == []
    assert spool.exists(), "a packer may go on"
    await sweep.once(now + 86_400 + 60)
    assert not spool.exists()
    source = await get_source(catalog, video_id)
    assert (catalog.media / source.reference).read_bytes() == PACK


async def test_purge_removes_packs(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    assert (await catalog.http.delete(f"/api/videos/{video_id}", headers=ADMIN)).status_code == 204
    purge = Purge(catalog.database, catalog.store, timedelta(0))
    assert await purge.once(datetime.now(UTC) + timedelta(seconds=60)) == 1
    assert not (catalog.media / "videos" / video_id).exists()


class TestKeptSource:
    @pytest.fixture
    def catalog_settings(self) -> dict[str, Any]:
        return {"protected_source": "keep"}

    async def test_kept_source_is_never_served_and_can_be_packed_again(self, catalog: Catalog) -> None:
        video_id = await protected(catalog)
        assert [path.name for path in plaintext(catalog)] == ["source"]
        first = await get_source(catalog, video_id)
        assert first.asset_kind == "lsv"
        response = await catalog.http.post(f"/api/videos/{video_id}/rekey", headers=ADMIN)
        assert response.status_code == 202
        request = await asked(catalog, video_id, "video.process_requested")
        assert request.content_version > first.version
        assert request.reference == f"videos/{video_id}/source"
        assert (await get_source(catalog, video_id)).asset_id == first.asset_id, "until the new one is there"
        await report_pack(catalog, video_id, request, PACK * 2)
        second = await get_source(catalog, video_id)
        assert (second.asset_id, second.size_bytes) == (request.pack_asset_id, 2 * len(PACK))
        assert not (catalog.media / first.reference).parent.exists()

    async def test_artwork_is_made_again_of_kept_source(self, catalog: Catalog) -> None:
        video_id = await protected(catalog)
        assert (await catalog.http.post(f"/api/videos/{video_id}/process", headers=ADMIN)).status_code == 200
        request = await asked(catalog, video_id, "video.process_requested")
        assert (list(request.kinds), request.pack_asset_id) == ([], "")
        await catalog.report_probed(video_id)
        assert (await get_source(catalog, video_id)).asset_kind == "lsv"

    async def test_kept_source_is_served_again(self, catalog: Catalog) -> None:
        video_id = await protected(catalog)
        pack = await get_source(catalog, video_id)
        path = f"/api/videos/{video_id}/unprotect"
        assert (await catalog.http.post(path, headers=ANN)).status_code == 403
        for _ in range(2):
            response = await catalog.http.post(path, headers=ADMIN)
            assert response.status_code == 200, response.text
        source = await get_source(catalog, video_id)
        assert (source.asset_kind, source.reference) == ("source", f"videos/{video_id}/source")
        assert not (catalog.media / pack.reference).parent.exists()
        assert plaintext(catalog)
        (act,) = await catalog.acts(1)
        assert (act.action, act.subject_id) == ("video.unprotected", video_id)

    async def test_pack_that_comes_after_all_is_not_taken(self, catalog: Catalog) -> None:
        video_id = await catalog.ready()
        await catalog.http.post(f"/api/videos/{video_id}/protect", headers=ADMIN)
        request = await asked(catalog, video_id, "video.process_requested")
        response = await catalog.http.post(f"/api/videos/{video_id}/unprotect", headers=ADMIN)
        assert response.status_code == 200
        await report_pack(catalog, video_id, request, PACK)
        assert (await get_source(catalog, video_id)).asset_kind == "source"


async def test_film_without_source_stays_protected(catalog: Catalog) -> None:
    video_id = await protected(catalog)
    response = await catalog.http.post(f"/api/videos/{video_id}/unprotect", headers=ADMIN)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONTENT_SOURCE_REMOVED")
    assert (await get_source(catalog, video_id)).asset_kind == "lsv"


async def test_rekeying_needs_a_pack(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    response = await catalog.http.post(f"/api/videos/{video_id}/rekey", headers=ADMIN)
    assert response.json()["error"]["code"] == "CONTENT_NOT_READY"
    unknown = await catalog.http.post(f"/api/videos/{new_id()}/protect", headers=ADMIN)
    assert unknown.status_code == 404


class TestImports:
    @pytest.fixture
    def catalog_settings(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "films").mkdir()
        (tmp_path / "films" / "film.mp4").write_bytes(FILM)
        return {"import_dir": tmp_path / "films"}

    async def test_imported_film_that_comes_back_before_it_is_packed_is_not_ready(self, catalog: Catalog) -> None:
        body = {"location": "film.mp4", "protection": "lsv"}
        video_id = (await catalog.http.post("/api/imports", json=body, headers=ADMIN)).json()["id"]
        await catalog.report_probed(video_id)
        async with catalog.database.write() as transaction:
            video = await VideoRepository(transaction.session).get(video_id)
            file = ImportFile(path="film.mp4", state=ImportState.PRESENT)
            await hide(transaction, file, video, prune=False)
        assert await status(catalog, video_id) == "failed"
        async with catalog.database.write() as transaction:
            video = await VideoRepository(transaction.session).get(video_id)
            await show(transaction, file, video)
        assert await status(catalog, video_id) == "processing"
        assert (await asked(catalog, video_id, "video.process_requested")).pack_asset_id

    async def test_imported_film_is_served_as_pack_and_stays_where_it_lies(
        self, catalog: Catalog, tmp_path: Path
    ) -> None:
        body = {"location": "film.mp4", "protection": "lsv"}
        created = await catalog.http.post("/api/imports", json=body, headers=ADMIN)
        assert created.status_code == 201, created.text
        video_id = created.json()["id"]
        (catalog.media / "videos" / video_id).mkdir(parents=True)
        request = await asked(catalog, video_id)
        await catalog.report_probed(video_id)
        for kind in ARTWORK:
            await catalog.report_artwork(video_id, kind)
        await report_pack(catalog, video_id, request)
        assert (await get_source(catalog, video_id)).asset_kind == "lsv"
        assert (tmp_path / "films" / "film.mp4").read_bytes() == FILM
        assert plaintext(catalog) == []
        # Other bytes in its place make another pack, and nothing is served until then.
        async with catalog.database.write() as transaction:
            video = await VideoRepository(transaction.session).get(video_id)
            assert video is not None
            await process_anew(transaction, video, "import:film.mp4", 9)
        again = await asked(catalog, video_id, "video.process_requested")
        assert again.pack_asset_id not in ("", request.pack_asset_id)
        assert again.content_version > request.content_version
        with pytest.raises(Exception, match="CONTENT_NOT_READY"):
            await get_source(catalog, video_id)
        await catalog.report_probed(video_id)
        assert await status(catalog, video_id) == "processing"
        await report_pack(catalog, video_id, again)
        assert (await get_source(catalog, video_id)).asset_id == again.pack_asset_id
