"""Subtitles of videos: taken in, converted, shown by the rule of the film."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kit.testing.fakes import as_user
from services.catalog.tests.support import ADMIN, ANN, Catalog

SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>안녕</i> 세상\n\n2\n00:00:03,000 --> 00:00:04,000\n이야기의 끝입니다\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"
OUTSIDER = as_user("eve", corporation_id="acme")


async def put(
    catalog: Catalog, video_id: str, track: str, data: bytes | str = SRT, headers: dict[str, str] = ADMIN, **query: Any
) -> httpx.Response:
    content = data.encode() if isinstance(data, str) else data
    path = f"/api/videos/{video_id}/subtitles/{track}"
    return await catalog.http.put(path, content=content, params=query, headers=headers)


async def stored(catalog: Catalog, video_id: str, track: str, data: bytes | str = SRT, **query: Any) -> dict[str, Any]:
    answer = await put(catalog, video_id, track, data, **query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_srt_becomes_webvtt_with_etag(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    track = await stored(catalog, video_id, "KOR", title=" 한국어 ")
    assert (track["track"], track["language"], track["title"], track["source"]) == ("ko", "ko", "한국어", "uploaded")
    assert (track["encoding"], track["needs_confirmation"], track["format"]) == ("utf-8", False, "srt")
    assert track["sample"] == ["<i>안녕</i> 세상", "이야기의 끝입니다"]
    answer = await catalog.http.get(track["url"], headers=ANN)
    assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert answer.text.startswith("WEBVTT\n\n00:00:01.000 --> 00:00:02.500\n<i>안녕</i> 세상\n")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    tag = answer.headers["ETag"]
    again = await catalog.http.get(track["url"], headers=ANN | {"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    await stored(catalog, video_id, "ko", VTT)
    changed = await catalog.http.get(track["url"], headers=ANN | {"If-None-Match": tag})
    assert (changed.status_code, changed.text) == (200, VTT)
    assert len(list((catalog.media / "videos" / video_id / "subtitles").iterdir())) == 1, "the former file is removed"


async def test_tracks_of_a_language_are_distinguished_by_flags(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    await stored(catalog, video_id, "en", VTT)
    await stored(catalog, video_id, "en", VTT, forced=True)
    await stored(catalog, video_id, "en.sdh", VTT)
    await stored(catalog, video_id, "zh_hant", VTT)
    items = (await catalog.get(f"/api/videos/{video_id}/subtitles", ANN))["items"]
    assert [item["track"] for item in items] == ["en", "en.sdh", "en.forced", "zh-Hant"]
    assert [(item["forced"], item["sdh"]) for item in items[:3]] == [(False, False), (False, True), (True, False)]
    path = f"/api/videos/{video_id}/subtitles/en.forced"
    assert (await catalog.http.delete(path, headers=ADMIN)).status_code == 204
    assert (await catalog.http.get(path, headers=ANN)).status_code == 404
    assert len((await catalog.get(f"/api/videos/{video_id}/subtitles", ANN))["items"]) == 3
    types = await catalog.event_types(7)
    assert types.count("video.updated") == 5


async def test_encoding_is_found_out_shown_and_overridden(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    for encoding, shown in (("cp949", "cp949"), ("utf-16", "utf-16"), ("utf-8-sig", "utf-8")):
        track = await stored(catalog, video_id, "ko", SRT.encode(encoding))
        assert (track["encoding"], track["needs_confirmation"]) == (shown, False)
        assert track["sample"][1] == "이야기의 끝입니다"
    french = "1\n00:00:01,000 --> 00:00:02,500\nDéjà vu à la crème\n"
    unsure = await stored(catalog, video_id, "fr", french.encode("latin-1"))
    assert unsure["needs_confirmation"]
    assert unsure["sample"] == ["Déjà vu à la crème"]
    wrong = await stored(catalog, video_id, "fr", french.encode("latin-1"), encoding="cp1251")
    assert not wrong["needs_confirmation"], "a person has named it"
    assert wrong["sample"] != unsure["sample"]
    for encoding in ("utf-8", "no-such", "base64"):
        answer = await put(catalog, video_id, "fr", french.encode("latin-1"), encoding=encoding)
        assert answer.status_code == 422
        assert answer.json()["error"]["details"]["fields"][0]["field"] == "encoding"


@pytest.mark.parametrize("uploads", ["members"])
async def test_rights_are_those_of_the_film(catalog: Catalog, uploads: str) -> None:
    video_id = (await catalog.upload(headers=as_user("ann", corporation_id="acme"))).json()["id"]
    owner, path = as_user("ann", corporation_id="acme"), f"/api/videos/{video_id}/subtitles"
    assert (await put(catalog, video_id, "ko", headers=owner)).status_code == 200
    assert (await catalog.http.get(f"{path}/ko", headers=owner)).status_code == 200
    # The film is still being processed: only its uploader and administrators see it.
    assert (await catalog.http.get(f"{path}/ko", headers=OUTSIDER)).status_code == 404
    await catalog.report_probed(video_id)
    await catalog.report_thumbnail(video_id)
    assert (await catalog.http.get(f"{path}/ko", headers=OUTSIDER)).status_code == 200
    assert (await put(catalog, video_id, "en", headers=OUTSIDER)).status_code == 403
    assert (await catalog.http.delete(f"{path}/ko", headers=OUTSIDER)).status_code == 403
    for stranger in (ANN, as_user("bob", corporation_id="globex")):
        assert (await catalog.http.get(path, headers=stranger)).status_code == 404
        assert (await catalog.http.get(f"{path}/ko", headers=stranger)).status_code == 404
        assert (await put(catalog, video_id, "ko", headers=stranger)).status_code == 404
    await catalog.http.delete(f"/api/videos/{video_id}", headers=owner)
    assert (await catalog.http.get(f"{path}/ko", headers=owner)).status_code == 404


async def test_refuses_what_is_no_subtitles(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    for data in (b"", b"\x00" * 1000, b"a text", b"\x89PNG\r\n" + bytes(range(256)) * 40, "WEBVTT\n\nnothing\n"):
        answer = await put(catalog, video_id, "ko", data)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UPLOAD_INVALID_MEDIA"), data[:10]
    for language in ("xx", "english!", "en.loud", "en.forced.forced", "e" * 60):
        assert (await put(catalog, video_id, language)).status_code == 422
    assert (await put(catalog, video_id, "ko", b"x" * (1 << 20) + b"x")).status_code == 413
    assert (await put(catalog, "no-id", "ko")).status_code == 404
    assert (await catalog.get(f"/api/videos/{video_id}/subtitles"))["items"] == []
    assert list((catalog.media / "incoming").iterdir()) == []
