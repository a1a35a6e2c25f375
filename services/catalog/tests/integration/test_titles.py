"""Titles by templates over HTTP, on every database."""

from __future__ import annotations

from typing import Any

import pytest

from kit.ids import new_id
from services.catalog.tests.integration.test_highlights import add
from services.catalog.tests.integration.test_series import episode, make_series
from services.catalog.tests.support import ADMIN, ANN, Catalog


async def ask(catalog: Catalog, what: str, headers: dict[str, str] = ADMIN, **body: Any) -> list[dict[str, Any]]:
    response = await catalog.http.post(f"/api/titles/{what}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_a_preview_changes_nothing_and_applying_does(catalog: Catalog) -> None:
    series_id = await make_series(catalog, title="The tour")
    video_id = await episode(catalog, series_id, 1, 7, title="raw 0007")
    bare = await episode(catalog, series_id, None, None, title="Extra")
    expected = {"video_id": video_id, "before": "raw 0007", "after": "The tour S01E07", "missing": None}
    previewed = await ask(catalog, "preview", template="episode", series_id=series_id)
    assert previewed == [expected, {"video_id": bare, "before": "Extra", "after": None, "missing": "season"}]
    assert (await catalog.get(f"/api/videos/{video_id}"))["title"] == "raw 0007"
    assert await ask(catalog, "apply", template="episode", series_id=series_id) == [expected]
    assert (await catalog.get(f"/api/videos/{video_id}"))["title"] == "The tour S01E07"
    assert await ask(catalog, "apply", template="episode", series_id=series_id) == []
    found = await catalog.get("/api/videos?query=S01E07")
    assert found["total"] == 1


async def test_the_biggest_pot_names_a_film(catalog: Catalog) -> None:
    video_id = await catalog.ready(title="raw")
    await add(catalog, video_id, category="cooler", players=["Ann"], pot_size=10)
    await add(catalog, video_id, category="bluff", players=["Bea", "Zoe"], pot_size=1_200_000)
    (item,) = await ask(catalog, "preview", template="best-hand", video_ids=[video_id])
    assert item["after"] == "Bea, Zoe - bluff (1,200,000)"


async def test_only_what_the_caller_may_edit_is_named(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    assert await ask(catalog, "apply", ANN, template="named-episode", video_ids=[video_id]) == []


@pytest.mark.parametrize(
    "body",
    [
        {"template": "none", "series_id": new_id()},
        {"template": "episode"},
        {"template": "episode", "series_id": new_id(), "video_ids": [new_id()]},
        {"template": "episode", "video_ids": []},
    ],
)
async def test_refuses_what_names_no_template_or_videos(catalog: Catalog, body: dict[str, Any]) -> None:
    response = await catalog.http.post("/api/titles/preview", json=body, headers=ADMIN)
    assert response.status_code == 422
