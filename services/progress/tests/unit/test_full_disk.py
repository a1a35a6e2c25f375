"""A full disk under progress's database: writes are answered 507, reading goes on, and all recovers."""

from __future__ import annotations

import sqlite3

from kit.testing.databases import failing_writes
from services.progress.tests.fakes import FakeCatalog, make_video
from services.progress.tests.unit.test_http import Client, app, call, http, refusal

__all__ = ["app", "call", "http"]


async def test_writes_are_answered_507_and_recover(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    await call.report(video.id, 17)
    with failing_writes(sqlite3.SQLITE_FULL):
        for method, path, body in (
            ("PUT", f"/api/progress/{video.id}", {"position": 20, "duration": 100}),
            ("POST", f"/api/videos/{video.id}/progress", {"position_sec": 20}),
            ("POST", "/api/users/me/bookmarks", {"video_id": video.id, "position_sec": 1}),
            ("DELETE", "/api/users/me/history", None),
        ):
            response = await call(method, path, body)
            assert refusal(response) == (507, "STORAGE_FULL"), (method, path)
            assert response.headers["Retry-After"]
        assert (await call("GET", f"/api/progress/{video.id}")).json()["position"] == 17
        assert (await call("GET", "/api/users/me/points")).status_code == 200
    assert await call.report(video.id, 20) == {"success": True, "progress_percent": 20}
