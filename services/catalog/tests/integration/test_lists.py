"""Lists: filters, keyset pages and entity tags, on both databases, and the plans behind them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, text, update

from kit.ids import new_id
from kit.testing.fakes import as_user
from kit.testing.queries import count_queries
from services.catalog.models import Asset, Video
from services.catalog.service import SearchIndexer
from services.catalog.tests.support import ADMIN, Catalog

ACME, OTHER = new_id(), new_id()
MEMBER = as_user("ann", corporation_id=ACME)
SORTS = ("-created_at", "created_at", "title", "-title", "duration_sec", "-duration_sec")


async def fill(catalog: Catalog, count: int) -> list[str]:
    """Insert videos of all kinds, without the rest of the service."""
    source = random.Random(3)
    ids = sorted(new_id() for _ in range(count))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    videos = [
        {
            "id": video_id,
            "title": source.choice(("b", "가", "A", "é")) + str(source.randrange(count)),
            "search_key": "",
            "description": "",
            "tags": [("one", "two")[number % 2]],
            "status": ("ready", "ready", "processing", "failed")[number % 4],
            "uploader_id": "bob" if number % 10 else "ann",
            "corporation_id": (None, ACME, OTHER)[number % 3],
            "mime_type": "video/mp4",
            "duration_sec": float(source.randrange(50)) if number % 5 else None,
            "created_at": start + timedelta(hours=number),
            "updated_at": start,
            "deleted_at": start if number % 11 == 10 else None,
            "version": 1,
        }
        for number, video_id in enumerate(ids)
    ]
    assets = [
        {
            "id": new_id(), "video_id": video_id, "kind": "source", "reference": f"videos/{video_id}/source",
            "size_bytes": 1, "video_codec": ("H.264", "AV1")[number % 2], "height": (720, 2160)[number % 2],
            "created_at": start,
        }
        for number, video_id in enumerate(ids)
    ]  # fmt: skip
    async with catalog.database.write() as transaction:
        await transaction.session.execute(insert(Video), videos)
        await transaction.session.execute(insert(Asset), assets)
    await SearchIndexer(catalog.database).complete()
    return ids


async def pages(catalog: Catalog, headers: dict[str, str], **params: Any) -> list[dict[str, Any]]:
    """Return a whole list, read by its cursors."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await catalog.http.get("/api/videos", params={"page_size": 7, **params, **cursor}, headers=headers)
        assert response.status_code == 200, response.text
        found += response.json()["items"]
        if (following := response.json()["next_cursor"]) is None:
            return found
        cursor = {"cursor": following}


@pytest.mark.parametrize(
    "headers",
    [ADMIN, MEMBER, as_user("ann"), as_user("eve", corporation_id=OTHER)],
    ids=["admin", "member", "stranger", "other"],
)
async def test_cursors_lead_through_the_same_list_as_pages(catalog: Catalog, headers: dict[str, str]) -> None:
    await fill(catalog, 60)
    for sort in SORTS:
        by_cursor = await pages(catalog, headers, sort=sort)
        whole = await catalog.http.get("/api/videos", params={"page_size": 100, "sort": sort}, headers=headers)
        assert by_cursor == whole.json()["items"]
        assert whole.json()["total"] == len(by_cursor) > 0
        column = sort.lstrip("-")
        values = [item[column] for item in by_cursor if item[column] is not None]
        assert values == sorted(values, reverse=sort.startswith("-"))
        assert [item[column] for item in by_cursor][: len(values)] == values, "those without a value are last"
        second = await catalog.http.get(
            "/api/videos", params={"page_size": 5, "page": 2, "sort": sort}, headers=headers
        )
        assert second.json()["items"] == by_cursor[5:10]


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ({"status": "ready"}, lambda item, _: item["status"] == "ready"),
        ({"tag": "two"}, lambda item, _: item["tags"] == ["two"]),
        ({"corporation_id": ACME}, lambda item, _: item["corporation_id"] == ACME),
        ({"uploader_id": "bob"}, lambda item, _: item["uploader_id"] == "bob"),
        ({"min_duration_sec": 10, "max_duration_sec": 30}, lambda item, _: 10 <= (item["duration_sec"] or 0) <= 30),
        ({"codec": "AV1"}, lambda _, number: number % 2 == 1),
        ({"min_height": 1080}, lambda _, number: number % 2 == 1),
        ({"from": "2026-01-01T10:00:00Z", "to": "2026-01-01T20:00:00Z"}, lambda _, number: 10 <= number < 20),
    ],
)
async def test_filters(catalog: Catalog, params: dict[str, Any], fits: Any) -> None:
    numbers = {video_id: number for number, video_id in enumerate(await fill(catalog, 40))}
    for headers in (ADMIN, MEMBER):
        everything = await pages(catalog, headers)
        expected = [item for item in everything if fits(item, numbers[item["id"]])]
        assert await pages(catalog, headers, **params) == expected
        assert expected


async def test_refuses_cursors_that_are_not_of_this_list(catalog: Catalog) -> None:
    await fill(catalog, 10)
    first = await catalog.http.get("/api/videos", params={"page_size": 2, "sort": "title"}, headers=ADMIN)
    for cursor in ("x", "e30", "W10", first.json()["next_cursor"]):
        response = await catalog.http.get("/api/videos", params={"cursor": cursor}, headers=ADMIN)
        assert response.status_code == 422
        assert response.json()["error"]["code"] == "VALIDATION_FAILED"


async def test_a_list_that_has_not_changed_is_not_sent_again(catalog: Catalog) -> None:
    await fill(catalog, 3)
    first = await catalog.http.get("/api/videos", headers=ADMIN)
    again = await catalog.http.get("/api/videos", headers={**ADMIN, "If-None-Match": f'W/"x", {first.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    async with catalog.database.write() as transaction:
        await transaction.session.execute(update(Video).values(title="New", version=Video.version + 1))
    changed = await catalog.http.get("/api/videos", headers={**ADMIN, "If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


async def test_statements_do_not_depend_on_the_length(catalog: Catalog) -> None:
    counts = set()
    for _ in range(2):
        await fill(catalog, 30)
        for page_size in (2, 50):
            await catalog.ready(title="A change, so that nothing is kept")
            with count_queries() as sent:
                await catalog.http.get("/api/videos", params={"page_size": page_size}, headers=MEMBER)
            counts.add(sent.count)
    first = "version and own uploads, the page, the total, and films that no one was shown yet with their artwork"
    assert counts == {6}, first
    with count_queries() as sent:
        await catalog.get("/api/videos?page_size=50", MEMBER)
    assert sent.count == 1, "the version of the catalogue"


LISTS: list[tuple[str, dict[str, Any]]] = [
    *[("/api/videos", {"sort": sort}) for sort in SORTS],
    ("/api/videos", {"status": "failed"}),
    ("/api/search", {"q": "가1"}),
    ("/api/search", {"q": "b12"}),
    ("/api/search/suggest", {"q": "ㄱ"}),
]


@pytest.mark.parametrize("headers", [ADMIN, MEMBER], ids=["admin", "member"])
async def test_no_list_scans_a_table(catalog: Catalog, headers: dict[str, str]) -> None:
    await fill(catalog, 600)
    async with catalog.database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("ANALYZE"))
    service_database = catalog.database
    for path, params in LISTS:
        sent: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            if " FROM " in statement.replace("\n", " ") and "EXPLAIN" not in statement:
                sent.append((statement, values))  # noqa: B023 - the list of this round

        event.listen(Engine, "before_cursor_execute", note)
        try:
            await catalog.get(f"{path}?" + "&".join(f"{name}={value}" for name, value in params.items()), headers)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        for statement, values in sent:
            # Counting ends at a limit, however the rows are read.
            if "outbox" in statement or statement.startswith(("SELECT count", "SELECT (SELECT count")):
                continue
            async with service_database.reader.connect() as connection:
                if not service_database.is_sqlite:
                    # A table this small is scanned by choice. Without that choice, a scan shows that no index serves.
                    await connection.execute(text("SET LOCAL enable_seqscan = off"))
                explain = "EXPLAIN QUERY PLAN " if service_database.is_sqlite else "EXPLAIN "
                rows = (await connection.exec_driver_sql(explain + statement, values)).all()
            plan = "\n".join(str(row[-1]) for row in rows)
            for table in ("videos", "search_documents", "search_words", "video_tags", "video_files"):
                assert f"Seq Scan on {table}" not in plan, (params, statement, plan)
                lines = [line for line in plan.split("\n") if line.startswith(f"SCAN {table}")]
                assert all("INDEX" in line for line in lines), (params, statement, plan)


@pytest.mark.parametrize("headers", [ADMIN, MEMBER], ids=["admin", "member"])
async def test_counts_list_once_until_the_catalogue_changes(catalog: Catalog, headers: dict[str, str]) -> None:
    await fill(catalog, 60)
    first = await catalog.get("/api/videos", headers)
    with count_queries() as counted:
        again = await catalog.get("/api/videos", headers)
    assert again["total"] == first["total"] == len(await pages(catalog, headers))
    assert [each for each in counted.statements if "count(*)" in each] == []


@pytest.mark.parametrize("condition", [{"tag": "one"}, {"codec": "AV1"}, {"min_height": 1080}], ids=str)
async def test_looks_up_what_many_videos_have_and_collects_what_few_have(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, condition: dict[str, Any]
) -> None:
    await fill(catalog, 60)
    collected = await pages(catalog, MEMBER, **condition)
    monkeypatch.setattr("services.catalog.listing.repository.COMMON", 5)
    await catalog.ready(title="A change, so that nothing is kept")
    with count_queries() as counted:
        assert await pages(catalog, MEMBER, **condition) == collected
    looked_up = [each for each in counted.statements if "ORDER BY" in each and "EXISTS (SELECT" in each]
    assert collected
    assert bool(looked_up) == catalog.database.is_sqlite
