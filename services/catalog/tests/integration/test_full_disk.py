"""A full disk under catalog's database: writes are answered 507, reading goes on, and all recovers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import pytest

from kit.testing.databases import MigratedDatabases, failing_writes
from services.catalog.tests.support import ADMIN, Catalog


@pytest.fixture
def database_url(tmp_path: Path, migrated: MigratedDatabases) -> str:
    """Only SQLite's disk is one of ours."""
    return migrated.sqlite(tmp_path / "catalog.db")


def is_full(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["error"]["code"]) == (507, "STORAGE_FULL")


async def test_writes_are_answered_507_and_recover(catalog: Catalog) -> None:
    video_id = await catalog.ready(title="night train")
    highlight = {"start": 1, "end": 2, "title": "a"}
    with failing_writes(sqlite3.SQLITE_FULL):
        upload = await catalog.upload()
        assert is_full(upload)
        assert upload.json()["error"]["details"]["dependency"] == "database"
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": "filename eC5tcDQ="}
        for method, path, options in (
            ("POST", "/api/uploads", {"headers": ADMIN | tus}),
            ("PATCH", f"/api/videos/{video_id}", {"json": {"description": "new"}, "headers": ADMIN}),
            ("DELETE", f"/api/videos/{video_id}", {"headers": ADMIN}),
            ("POST", f"/api/videos/{video_id}/highlights", {"json": highlight, "headers": ADMIN}),
            ("PUT", f"/api/users/me/watchlist/{video_id}", {"headers": ADMIN}),
            ("POST", "/api/videos/process", {"headers": ADMIN}),
        ):
            answer = await catalog.http.request(method, path, **options)
            assert is_full(answer), (method, path, answer.text)
        assert (await catalog.get(f"/api/videos/{video_id}"))["title"] == "night train"
        assert (await catalog.get("/api/videos"))["total"] == 1
        await catalog.service.health.run_checks()
        health = (await catalog.http.get("/api/health")).json()
        assert (health["dependencies"]["disk"], health["services"]["catalog"]) == ("full", "healthy")
    edit = await catalog.http.patch(f"/api/videos/{video_id}", json={"description": "new"}, headers=ADMIN)
    assert edit.status_code == 200
    assert (await catalog.upload()).status_code == 201
    await catalog.service.health.run_checks()
    assert (await catalog.http.get("/api/health")).json()["dependencies"]["disk"] == "ok"
    # Nothing of what was refused is there.
    assert (await catalog.get("/api/videos"))["total"] == 2
