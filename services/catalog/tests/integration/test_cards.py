"""Films are encoded once for all who are shown them: in the shape of the API's models, and never of before a change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import insert, select, update

from kit.auth.tokens import Caller
from kit.ids import new_id
from kit.testing.fakes import as_user
from kit.testing.queries import count_queries
from kit.web.schemas import CursorPage, Page
from services.catalog.artwork import ArtworkKind
from services.catalog.highlights.schemas import ListedHighlightView
from services.catalog.home.http import HomeView, RecommendationsView
from services.catalog.models import Series, Video
from services.catalog.repository.jobs import JobRepository
from services.catalog.repository.videos import VideoRepository
from services.catalog.schemas import VideoView, encode_card
from services.catalog.schemas_search import SearchPageView, SuggestionsView
from services.catalog.series.repository import SeriesRepository
from services.catalog.service import cards as cards_module
from services.catalog.service.cards import Cards
from services.catalog.tests.support import ADMIN, Catalog

BEA = as_user(new_id(), "member", new_id())
SHAPES: list[tuple[str, type[BaseModel]]] = [
    ("/api/videos", CursorPage[VideoView]),
    ("/api/home", HomeView),
    ("/api/search?q=film", SearchPageView),
    ("/api/search/suggest?q=film", SuggestionsView),
    ("/api/videos/{}/recommendations", RecommendationsView),
    ("/api/highlights", Page[ListedHighlightView]),
]


@pytest.fixture(autouse=True)
def kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards outlast a test on a slow machine."""
    monkeypatch.setattr(cards_module, "_KEPT_SEC", 3600.0)


@pytest.mark.parametrize(("path", "shape"), SHAPES, ids=[path for path, _ in SHAPES])
async def test_answer_has_every_field_of_its_model_and_no_other(
    catalog: Catalog, path: str, shape: type[BaseModel]
) -> None:
    first, second = [await catalog.ready(title="Film 사랑 <&>", tags="one") for _ in range(2)]
    await catalog.report_artwork(second, ArtworkKind.POSTERS)
    hand = {"start": 1, "end": 2, "title": "사랑"}
    assert (await catalog.http.post(f"/api/videos/{first}/highlights", json=hand, headers=ADMIN)).status_code == 201
    body = await catalog.get(path.format(first), ADMIN)
    assert "사랑" in str(body)
    assert shape.model_validate(body).model_dump(mode="json") == body


async def test_list_shows_a_change_of_each_kind_at_once(catalog: Catalog) -> None:
    video_id = await catalog.ready(title="Before")

    async def shown() -> dict[str, Any]:
        (item,) = (await catalog.get("/api/videos"))["items"]
        assert isinstance(item, dict)
        return item

    before = await shown()
    await catalog.http.patch(f"/api/videos/{video_id}", json={"title": "After"}, headers=ADMIN)
    renamed = await shown()
    assert (before["title"], renamed["title"]) == ("Before", "After")
    await catalog.report_artwork(video_id, ArtworkKind.POSTERS)
    pictured = await shown()
    assert (renamed["posters"], bool(pictured["posters"])) == ([], True)
    assert pictured["thumbnail_url"] != renamed["thumbnail_url"]
    # Without a word to anyone: the version follows.
    async with catalog.database.write() as transaction:
        video = await transaction.session.get_one(Video, video_id)
        video.description = "Quietly"
    assert (await shown())["description"] == "Quietly"


async def test_changes_of_many_videos_give_new_versions(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    series = {"id": new_id(), "title": "", "description": "", "tags": [], "owner_id": "x", "version": 1}
    async with catalog.database.write() as transaction:
        video = await transaction.session.get_one(Video, video_id)
        version = video.version
        now = {"created_at": video.created_at, "updated_at": video.updated_at}
        await transaction.session.execute(insert(Series), [series | now])
        placed = update(Video).values(series_id=series["id"], status="failed", failure_code="X")
        await transaction.session.execute(placed.execution_options(synchronize_session=False))
        await JobRepository(transaction.session).retry_failed([video_id], "none")
        await SeriesRepository(transaction.session, Caller(new_id(), "admin", "active")).remove(str(series["id"]))
    async with catalog.database.read() as session:
        assert await session.scalar(select(Video.version)) == version + 2


async def test_encodes_each_version_once_while_it_is_kept(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    now, rendered = 100.0, list[str]()

    def render(video: Video) -> Any:
        rendered.append(video.id)
        return encode_card(video)

    cards = Cards(render, lambda: now)
    async with catalog.database.read() as session:
        version = await session.scalar(select(Video.version))
        assert version is not None
        for _ in range(2):
            (card,) = (await cards.load(VideoRepository(session), {video_id: version})).values()
            assert json.loads(card)["id"] == video_id
        assert rendered == [video_id]
        # One of another version is of before: it is not used.
        await cards.load(VideoRepository(session), {video_id: version + 1})
        now += cards_module._KEPT_SEC
        await cards.load(VideoRepository(session), {video_id: version})
    assert rendered == [video_id] * 3


@pytest.mark.parametrize("path", ["/api/videos", "/api/search?q=film"])
async def test_statements_do_not_grow_with_films_and_shrink_while_cards_are_kept(catalog: Catalog, path: str) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            await catalog.ready(title="Film", tags="one")
        for _ in range(2):
            with count_queries() as sent:
                await catalog.get(path, BEA)
            counts.append(sent.count)
    cold, warm, colder, warmer = counts
    assert (cold, warm) == (colder, warmer)
    assert warm <= cold - 2, "the films and their artwork"
