"""Titles are found alike on every database, however they and the search are written."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest
from sqlalchemy import text

from kit.db.migrations import upgrade
from kit.ids import new_id
from services.catalog.__main__ import MIGRATIONS
from services.catalog.tests.support import ADMIN, Catalog, insert, reset_to, video_of_before


async def found(catalog: Catalog, query: str) -> list[str]:
    response = await catalog.http.get("/api/videos", params={"query": query, "sort": "created_at"}, headers=ADMIN)
    assert response.status_code == 200, response.text
    assert response.json()["total"] == len(response.json()["items"])
    return [item["title"] for item in response.json()["items"]]


@pytest.mark.parametrize(
    ("title", "queries", "misses"),
    [
        ("한글 영화", ["한글", "영화 한글", "한글영화", "글 영"], ["한굴", "영화한글"]),
        ("한글 영화 2", [unicodedata.normalize("NFD", "한글"), "영화2"], []),
        (unicodedata.normalize("NFD", "봄날은간다"), ["봄날", unicodedata.normalize("NFD", "간다")], ["가나다"]),
        ("Ünïcödé ÄRGER", ["ünïcödé", "ärger", "ÄRGER ÜNÏ", unicodedata.normalize("NFD", "ärger")], ["argern"]),
        ("ПРИВЕТ Мир", ["привет", "мИР при"], ["приветмир"]),
        ("ΟΔΟΣ", ["οδος", "οδοσ"], []),
        ("Große Straße", ["STRASSE", "grosse straße"], ["strase"]),
        ("The Final Table", ["table final", " final\t the ", "final\u3000table", "fin\u00a0t"], ["finaltable"]),
        ("50% of_all \\ games", ["50%", "of_all", "\\", "% _"], ["5%0", "ofxall"]),
        ("\uff26\uff35\uff2c\uff2c width \ufb01lm", ["full", "film", "\uff26\uff49lm"], []),  # fullwidth, a ligature
        ("三体 2023", ["三体2023", "2023 三体", "三体"], ["体三"]),
    ],
)  # fmt: skip
async def test_finds_what_is_meant(catalog: Catalog, title: str, queries: list[str], misses: list[str]) -> None:
    await catalog.uploaded(title="Something else")
    await catalog.uploaded(title=title)
    stored = unicodedata.normalize("NFC", title)
    for query in queries:
        assert await found(catalog, query) == [stored], query
    for query in misses:
        assert await found(catalog, query) == [], query


async def test_nothing_but_spaces_asks_for_everything(catalog: Catalog) -> None:
    await catalog.uploaded(title="One")
    for query in ("", " ", "\u3000\t", "\x00"):
        assert await found(catalog, query) == ["One"]


async def test_long_searches_are_answered(catalog: Catalog) -> None:
    await catalog.uploaded(title="a" * 200)
    assert await found(catalog, "a " * 500) == ["a" * 200]
    assert await found(catalog, " ".join(chr(0x4E00 + n) for n in range(400))) == []
    assert await found(catalog, unicodedata.normalize("NFD", "각" * 200)) == []


async def test_a_new_title_is_searched(catalog: Catalog) -> None:
    video_id = await catalog.uploaded(title="Before")
    response = await catalog.http.patch(f"/api/videos/{video_id}", json={"title": "Später"}, headers=ADMIN)
    assert response.status_code == 200
    assert await found(catalog, "BEFORE") == []
    assert await found(catalog, "SPÄTER") == ["Später"]


async def test_titles_of_before_are_found_after_the_upgrade(catalog: Catalog, database_url: str) -> None:
    await reset_to("0003", database_url)
    await insert(catalog.database, "videos", [video_of_before(new_id(), "ÄRGER im 한글 영화") for _ in range(1100)])
    await asyncio.to_thread(upgrade, MIGRATIONS, database_url)
    for query in ("ärger", "한글영화"):
        response = await catalog.http.get("/api/videos", params={"query": query}, headers=ADMIN)
        assert response.json()["total"] == 1100


async def test_what_a_replica_of_before_writes_is_found_too(catalog: Catalog) -> None:
    """While an upgrade rolls, its rows have no key."""
    await catalog.uploaded(title="Plain words")
    async with catalog.database.write() as transaction:
        await transaction.session.execute(text("UPDATE videos SET search_key = ''"))
    assert await found(catalog, "WORDS plain") == ["Plain words"]
