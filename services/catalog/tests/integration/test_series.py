"""Series over HTTP, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from kit.ids import new_id
from kit.testing.fakes import as_user
from kit.testing.queries import count_queries
from services.catalog.tests.support import ADMIN, ANN, Catalog

CORPORATION = new_id()
BEA = as_user("bea", "member", CORPORATION)


async def make_series(catalog: Catalog, headers: dict[str, str] = ADMIN, **labels: Any) -> str:
    response = await catalog.http.post("/api/series", json={"title": "The tour", **labels}, headers=headers)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


async def change(catalog: Catalog, video_id: str, headers: dict[str, str] = ADMIN, **fields: Any) -> int:
    response = await catalog.http.patch(f"/api/videos/{video_id}", json=fields, headers=headers)
    return response.status_code


async def episode(catalog: Catalog, series_id: str, season: int | None, number: int | None, **fields: str) -> str:
    video_id = await catalog.ready(**fields)
    assert await change(catalog, video_id, series_id=series_id, season=season, episode=number) == 200
    return video_id


async def test_seasons_and_episodes_come_in_order(catalog: Catalog) -> None:
    series_id = await make_series(catalog, description=" Eight stops ", tags=["poker", "poker"])
    extra = await episode(catalog, series_id, None, None, title="Extra")
    second = await episode(catalog, series_id, 2, 1)
    tenth = await episode(catalog, series_id, 1, 10)
    first = await episode(catalog, series_id, 1, 2)
    body = await catalog.get(f"/api/series/{series_id}", ANN)
    assert (body["title"], body["description"], body["tags"]) == ("The tour", "Eight stops", ["poker"])
    seasons = [(each["season"], [video["id"] for video in each["episodes"]]) for each in body["seasons"]]
    assert seasons == [(1, [first, tenth]), (2, [second]), (None, [extra])]
    assert body["episode_count"] == 4
    assert body["thumbnail_url"].startswith(f"/api/videos/{first}/thumbnail")
    shown = body["seasons"][0]["episodes"][1]
    assert (shown["series_id"], shown["season"], shown["episode"]) == (series_id, 1, 10)
    place = await catalog.get(f"/api/videos/{second}/series", ANN)
    assert place["series"] == {"id": series_id, "title": "The tour"}
    assert (place["previous"]["id"], place["next"]["id"]) == (tenth, extra)
    assert (await catalog.get(f"/api/videos/{first}/series", ANN))["previous"] is None


async def test_what_is_left_out_of_an_edit_stays(catalog: Catalog) -> None:
    series_id = await make_series(catalog)
    video_id = await episode(catalog, series_id, 1, 2)
    assert await change(catalog, video_id, title="Renamed") == 200
    assert await change(catalog, video_id, episode=3) == 200
    shown = await catalog.get(f"/api/videos/{video_id}")
    assert (shown["series_id"], shown["season"], shown["episode"]) == (series_id, 1, 3)
    other = await make_series(catalog)
    assert await change(catalog, video_id, series_id=other) == 200
    shown = await catalog.get(f"/api/videos/{video_id}")
    assert (shown["series_id"], shown["season"], shown["episode"]) == (other, None, None)
    assert await change(catalog, video_id, series_id=None) == 200
    assert (await catalog.get(f"/api/videos/{video_id}"))["series_id"] is None
    missing = await catalog.http.get(f"/api/videos/{video_id}/series", headers=ADMIN)
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "fields",
    [{"season": 1}, {"series_id": new_id()}, {"series_id": "x"}, {"season": -1}, {"series_id": None, "episode": 1}],
)
async def test_places_that_make_no_sense_are_refused(catalog: Catalog, fields: dict[str, Any]) -> None:
    video_id = await catalog.ready()
    assert await change(catalog, video_id, **fields) == 422


async def test_a_series_is_seen_by_those_who_see_a_film_of_it(catalog: Catalog) -> None:
    series_id, empty = await make_series(catalog), await make_series(catalog)
    await episode(catalog, series_id, 1, 1, corporation_id=CORPORATION)
    path = f"/api/series/{series_id}"
    assert (await catalog.http.get(path, headers=ANN)).status_code == 404
    assert (await catalog.get("/api/series", ANN))["total"] == 0
    assert [each["id"] for each in (await catalog.get("/api/series", BEA))["items"]] == [series_id]
    platform = await episode(catalog, series_id, 1, 2)
    assert (await catalog.get(path, ANN))["episode_count"] == 1
    assert (await catalog.get(path, BEA))["episode_count"] == 2
    assert [each["episode_count"] for each in (await catalog.get("/api/series", ANN))["items"]] == [1]
    place = await catalog.get(f"/api/videos/{platform}/series", ANN)
    assert (place["previous"], place["next"]) == (None, None)
    assert (await catalog.http.delete(f"/api/videos/{platform}", headers=ADMIN)).status_code == 204
    assert (await catalog.http.get(path, headers=ANN)).status_code == 404
    assert [each["id"] for each in (await catalog.get("/api/series"))["items"]] == [empty, series_id]


class TestOwners:
    @pytest.fixture
    def uploads(self) -> str:
        return "members"

    async def test_members_keep_series_of_their_own(self, catalog: Catalog) -> None:
        series_id = await make_series(catalog, ANN)
        assert [each["id"] for each in (await catalog.get("/api/series", ANN))["items"]] == [series_id]
        assert (await catalog.get("/api/series", as_user("zoe")))["items"] == []
        response = await catalog.upload(headers=as_user("zoe"))
        assert await change(catalog, response.json()["id"], as_user("zoe"), series_id=series_id) == 422
        await episode(catalog, series_id, 1, 1)
        assert await change(catalog, response.json()["id"], as_user("zoe"), series_id=series_id) == 403
        path = f"/api/series/{series_id}"
        for method, body in (("PATCH", {"title": "Mine"}), ("DELETE", None)):
            refused = await catalog.http.request(method, path, json=body, headers=as_user("zoe"))
            assert refused.status_code == 403
        renamed = await catalog.http.patch(path, json={"title": "Ours", "tags": ["a"]}, headers=ANN)
        assert (renamed.json()["title"], renamed.json()["tags"], renamed.json()["episode_count"]) == ("Ours", ["a"], 1)


async def test_members_make_none_where_only_administrators_upload(catalog: Catalog) -> None:
    assert (await catalog.http.post("/api/series", json={"title": "x"}, headers=ANN)).status_code == 403


async def test_films_outlive_their_series(catalog: Catalog) -> None:
    series_id = await make_series(catalog)
    video_id = await episode(catalog, series_id, 1, 1)
    assert (await catalog.http.delete(f"/api/series/{series_id}", headers=ADMIN)).status_code == 204
    shown = await catalog.get(f"/api/videos/{video_id}", ANN)
    assert (shown["series_id"], shown["season"], shown["episode"]) == (None, None, None)
    assert (await catalog.http.get(f"/api/series/{series_id}", headers=ADMIN)).status_code == 404
    types = await catalog.event_types(5)
    assert [each for each in types if each.startswith("series.")] == ["series.updated", "series.deleted"]


async def test_a_series_takes_the_same_statements_for_any_number_of_films(catalog: Catalog) -> None:
    series_id = await make_series(catalog)
    counts = []
    for number in range(1, 4):
        video_id = await episode(catalog, series_id, 1, number)
        with count_queries() as counted:
            await catalog.get(f"/api/series/{series_id}", ANN)
            await catalog.get(f"/api/videos/{video_id}/series", ANN)
            await catalog.get("/api/series", ANN)
        counts.append(counted.count)
    assert len(set(counts)) == 1, counts
