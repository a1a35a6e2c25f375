"""Highlights over HTTP, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from kit.ids import new_id
from kit.testing.fakes import as_user
from kit.testing.plans import capture_selects, explain, scans
from kit.testing.queries import count_queries
from services.catalog.tests.support import ADMIN, ANN, Catalog

CORPORATION = new_id()
BEA = as_user("bea", "member", CORPORATION)
BLUFF = {
    "start": 1.5,
    "end": 4,
    "category": "bluff",
    "title": "The bluff",
    "players": ["Ann", "홍 길동"],
    "pot_size": 900,
}


async def add(catalog: Catalog, video_id: str, **fields: Any) -> str:
    body = {"start": 0, "end": 1, **fields}
    response = await catalog.http.post(f"/api/videos/{video_id}/highlights", json=body, headers=ADMIN)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def ids(catalog: Catalog, query: str = "", headers: dict[str, str] = ANN) -> list[str]:
    body = await catalog.get(f"/api/highlights{query}", headers)
    assert body["total"] == len(body["items"])
    return [each["id"] for each in body["items"]]


async def test_are_listed_by_their_start_and_edited(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    late = await add(catalog, video_id, **BLUFF)
    early = await add(catalog, video_id)
    body = await catalog.get(f"/api/videos/{video_id}/highlights", ANN)
    assert [each["id"] for each in body["items"]] == [early, late]
    assert {name: body["items"][1][name] for name in BLUFF} == BLUFF
    assert body["items"][0]["pot_size"] is None
    path = f"/api/highlights/{late}"
    changed = await catalog.http.patch(path, json={"pot_size": None, "players": ["Bea"]}, headers=ADMIN)
    assert changed.status_code == 200
    assert (changed.json()["pot_size"], changed.json()["players"], changed.json()["start"]) == (None, ["Bea"], 1.5)
    assert await ids(catalog, "?player=bea") == [late]
    assert await ids(catalog, "?player=ann") == []
    assert (await catalog.http.delete(path, headers=ADMIN)).status_code == 204
    assert (await catalog.http.delete(path, headers=ADMIN)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"start": 5, "end": 5}, "end"),
        ({"start": 5, "end": 99}, "end"),
        ({"start": -1}, "start"),
        ({"pot_size": 0}, "pot_size"),
        ({"players": ["x"] * 21}, "players"),
        ({"players": ["x" * 61]}, "players"),
        ({"category": "x" * 51}, "category"),
    ],
)
async def test_refuses_what_is_not_within_the_film(catalog: Catalog, fields: dict[str, Any], wrong: str) -> None:
    video_id = await catalog.ready()
    body = {"start": 0, "end": 1, **fields}
    response = await catalog.http.post(f"/api/videos/{video_id}/highlights", json=body, headers=ADMIN)
    assert response.status_code == 422
    assert wrong in response.text


async def test_are_edited_by_uploader_and_administrators_only(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    highlight = await add(catalog, video_id)
    for method, path, body in (
        ("POST", f"/api/videos/{video_id}/highlights", {"start": 0, "end": 1}),
        ("PUT", f"/api/videos/{video_id}/highlights", {"items": []}),
        ("PATCH", f"/api/highlights/{highlight}", {"start": 0.5}),
        ("DELETE", f"/api/highlights/{highlight}", None),
    ):
        response = await catalog.http.request(method, path, json=body, headers=ANN)
        assert response.status_code == 403, (method, response.text)


async def test_list_over_all_films_filters_and_sorts(catalog: Catalog) -> None:
    one, other = await catalog.ready(title="One"), await catalog.ready(title="Other")
    small = await add(catalog, one, **{**BLUFF, "pot_size": 10})
    none = await add(catalog, other, category="hero call", players=["BEA"])
    big = await add(catalog, other, **{**BLUFF, "players": ["Ann", "Bea"]})
    assert await ids(catalog) == [big, small, none]
    assert await ids(catalog, "?sort=-created_at") == [big, none, small]
    assert await ids(catalog, "?category=bluff") == [big, small]
    assert await ids(catalog, "?player=bea&sort=-created_at") == [big, none]
    assert await ids(catalog, "?player=홍길동") == [small]
    body = await catalog.get("/api/highlights?page_size=1&page=2", ANN)
    assert (body["total"], body["items"][0]["video"]["title"]) == (3, "One")


async def test_are_seen_with_their_film_only(catalog: Catalog) -> None:
    private, processing = await catalog.ready(corporation_id=CORPORATION), await catalog.uploaded()
    mine, hidden = await add(catalog, private), await add(catalog, processing)
    assert await ids(catalog) == []
    assert await ids(catalog, headers=BEA) == [mine]
    for video_id in (private, processing):
        for path in ("highlights", "chapters.vtt"):
            response = await catalog.http.get(f"/api/videos/{video_id}/{path}", headers=ANN)
            assert response.status_code == 404
    response = await catalog.http.patch(f"/api/highlights/{hidden}", json={"start": 0.5}, headers=ANN)
    assert response.status_code == 404


async def test_csv_and_json_replace_all_of_a_film(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    path = f"/api/videos/{video_id}/highlights"
    await add(catalog, video_id)
    rows = [
        BLUFF,
        {"start": 0.25, "end": 2, "category": "=1+1", "title": '"quoted", a\nline', "players": [], "pot_size": 1e6},
    ]
    replaced = await catalog.http.put(path, json={"items": rows}, headers=ADMIN)
    assert replaced.status_code == 200, replaced.text
    assert [each["start"] for each in replaced.json()["items"]] == [0.25, 1.5]
    before = (await catalog.get(path, ANN))["items"]
    exported = await catalog.http.get(f"{path}?format=csv", headers=ANN)
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.content.startswith(b"\xef\xbb\xbfstart,end,category,title,players,pot_size\r\n")
    assert b"'=1+1" in exported.content
    headers = {**ADMIN, "Content-Type": "text/csv; charset=utf-8"}
    again = await catalog.http.put(path, content=exported.content, headers=headers)
    assert again.status_code == 200, again.text
    after = (await catalog.get(path, ANN))["items"]
    changing = ("id", "created_at", "updated_at")
    assert [{k: v for k, v in each.items() if k not in changing} for each in after] == [
        {k: v for k, v in each.items() if k not in changing} for each in before
    ]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("start,end\n0,1\nx,2\n", "items.1.start"),
        ("start,end\n0,1\n3,2\n", "items.1.end"),
        ("start,end\n0\n", "line 2"),
        ("start\n0\n", "line 1"),
        ("start,end,winner\n0,1,Ann\n", "line 1"),
        ("", "line 1"),
        ('start,end\n"0,1\n', "line 2"),
        ("start,end\n\x00,1\n", "items.0.start"),
        ("start,end\n" + "0,1\n" * 1001, "items"),
    ],
)
async def test_a_bad_line_changes_nothing(catalog: Catalog, content: str, names: str) -> None:
    video_id = await catalog.ready()
    kept = await add(catalog, video_id)
    path = f"/api/videos/{video_id}/highlights"
    response = await catalog.http.put(path, content=content, headers={**ADMIN, "Content-Type": "text/csv"})
    assert response.status_code == 422, response.text
    assert names in response.text
    assert [each["id"] for each in (await catalog.get(path, ANN))["items"]] == [kept]


async def test_bytes_that_are_no_text_are_refused(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    for kind in ("text/csv", "application/json", ""):
        response = await catalog.http.put(
            f"/api/videos/{video_id}/highlights", content=b"\xff\xfe", headers={**ADMIN, "Content-Type": kind}
        )
        assert response.status_code == 422, kind


async def test_chapters_are_cached_by_their_content(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    path = f"/api/videos/{video_id}/chapters.vtt"
    empty = await catalog.http.get(path, headers=ANN)
    assert (empty.status_code, empty.text) == (200, "WEBVTT\n")
    highlight = await add(catalog, video_id, **BLUFF)
    first = await catalog.http.get(path, headers=ANN)
    assert first.headers["content-type"].startswith("text/vtt")
    assert first.text == "WEBVTT\n\n00:00:01.500 --> 00:00:04.000\nThe bluff\n"
    cached = await catalog.http.get(path, headers={**ANN, "If-None-Match": first.headers["etag"]})
    assert cached.status_code == 304
    await catalog.http.delete(f"/api/highlights/{highlight}", headers=ADMIN)
    assert (await catalog.http.get(path, headers={**ANN, "If-None-Match": first.headers["etag"]})).status_code == 200


async def test_lists_take_the_same_statements_for_any_length(catalog: Catalog) -> None:
    counts = []
    for _ in range(3):
        await add(catalog, await catalog.ready(), **BLUFF)
        with count_queries() as counted:
            await catalog.get("/api/highlights?player=ann&category=bluff", ANN)
        counts.append(counted.count)
    assert len(set(counts)) == 1, counts


async def test_lists_are_read_in_the_order_of_an_index(catalog: Catalog) -> None:
    await add(catalog, await catalog.ready(), **BLUFF)
    with capture_selects() as statements:
        for query in ("", "?sort=-created_at", "?category=bluff", "?category=bluff&sort=-created_at"):
            await catalog.get(f"/api/highlights{query}", ANN)
    ordered = [each for each in statements if "FROM highlights JOIN" in each[0] and "ORDER BY" in each[0]]
    assert len(ordered) == 4
    for statement in ordered:
        plan = await explain(catalog.database, statement)
        assert not any("TEMP B-TREE" in line for line in plan), plan
        assert scans(plan, ("videos",)) == [], plan


async def test_counts_many_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.catalog.listing.totals.EXACT_BELOW", 2)
    video_id = await catalog.ready()
    for _ in range(2):
        await add(catalog, video_id, category="bluff")
    assert len(await ids(catalog, "?category=bluff")) == 2
    with count_queries() as counted:
        assert len(await ids(catalog, "?category=bluff")) == 2
    assert not any("count(*)" in each for each in counted.statements)
