"""Routes about points and the view log, with fake neighbours and a real, empty database."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from kit.db.database import Database
from kit.health import Health
from kit.ids import new_id
from kit.testing.fakes import FakeBus, HeaderAuthenticator, as_user, event_of
from kit.web.app import create_app
from marquee.events.v1 import stream_pb2
from services.progress.consumers import subscribe
from services.progress.http import build_routers
from services.progress.service import Bookmarks, History, Points, Recorder, ViewLog, Views
from services.progress.tests.fakes import ADMIN, MEMBER, FakeAccounts, FakeCatalog, make_video

AS_ADMIN = as_user(ADMIN.user_id, "admin")
AS_MEMBER = as_user(MEMBER.user_id)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
async def http(
    database: Database, catalog: FakeCatalog, accounts: FakeAccounts, bus: FakeBus
) -> AsyncIterator[httpx.AsyncClient]:
    points = Points(database, accounts, per_view=10)
    view_log = ViewLog(database, points, Views(database), catalog, accounts)
    subscribe(bus, database, view_log)
    accounts.by_id[MEMBER.user_id] = "ann"
    routers = build_routers(
        Recorder(database, catalog), History(database, catalog), points, view_log, Bookmarks(database, catalog)
    )
    app = create_app("progress", title="p", health=Health(), authenticate=HeaderAuthenticator(), routers=routers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://progress") as client:
        yield client


async def watch(bus: FakeBus, video_id: str, user_id: str = MEMBER.user_id) -> None:
    """A play session begins."""
    message = stream_pb2.StreamStarted(session_id=new_id(), user_id=user_id, video_id=video_id, source="ssd")
    message.timestamp.FromDatetime(NOW)
    await bus.deliver(event_of("stream.started", message))


async def test_points_are_paged_newest_first(http: httpx.AsyncClient, bus: FakeBus) -> None:
    videos = [new_id() for _ in range(3)]
    for video_id in videos:
        await watch(bus, video_id)
    body = (await http.get("/api/users/me/points?page_size=2", headers=AS_MEMBER)).json()
    assert (body["balance"], body["total"], body["page"], body["page_size"]) == (30, 3, 1, 2)
    assert [each["video_id"] for each in body["items"]] == [videos[2], videos[1]]
    first = (await http.get("/api/users/me/points?page=2&page_size=2", headers=AS_MEMBER)).json()["items"]
    assert [(each["number"], each["kind"], each["points"], each["balance"]) for each in first] == [(1, "view", 10, 10)]


async def test_viewer_without_views_has_no_points(http: httpx.AsyncClient) -> None:
    body = (await http.get("/api/users/me/points", headers=AS_MEMBER)).json()
    assert (body["balance"], body["items"], body["total"]) == (0, [], 0)


async def test_adjustment_records_administrator_and_reason(http: httpx.AsyncClient) -> None:
    path = f"/api/admin/points/{MEMBER.user_id}/adjustments"
    made = await http.post(path, json={"points": 7, "reason": " a prize "}, headers=AS_ADMIN)
    assert made.status_code == 201
    line = made.json()
    assert (line["kind"], line["points"], line["balance"]) == ("adjustment", 7, 7)
    assert (line["reason"], line["adjusted_by"], line["video_id"]) == ("a prize", ADMIN.user_id, None)
    audited = (await http.get(f"/api/admin/points/{MEMBER.user_id}", headers=AS_ADMIN)).json()
    assert (audited["balance"], audited["items"]) == (7, [line])
    own = (await http.get("/api/users/me/points", headers=AS_MEMBER)).json()
    assert own["items"][0]["reason"] == "a prize"
    assert "adjusted_by" not in own["items"][0]


@pytest.mark.parametrize(
    "body",
    [
        {"points": 0, "reason": "x"},
        {"points": 1},
        {"points": 1, "reason": ""},
        {"points": 1, "reason": "two\nlines"},
        {"points": 1, "reason": "x" * 201},
        {"points": 1.5, "reason": "x"},
        {"points": 1_000_001, "reason": "x"},
        {"points": -1, "reason": "more than there is"},
        {"points": 1, "reason": "x", "user_id": "y"},
    ],
)
async def test_invalid_adjustments_are_refused(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    refused = await http.post(f"/api/admin/points/{MEMBER.user_id}/adjustments", json=body, headers=AS_ADMIN)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert (await http.get("/api/users/me/points", headers=AS_MEMBER)).json()["total"] == 0


@pytest.mark.parametrize("user_id", ["x", new_id()])
async def test_unknown_user_is_not_adjusted(http: httpx.AsyncClient, user_id: str) -> None:
    body = {"points": 1, "reason": "x"}
    refused = await http.post(f"/api/admin/points/{user_id}/adjustments", json=body, headers=AS_ADMIN)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "CONTENT_NOT_FOUND")


async def test_members_are_refused_admin_routes(http: httpx.AsyncClient) -> None:
    ledger = f"/api/admin/points/{MEMBER.user_id}"
    for method, path in (("GET", "/api/admin/views"), ("GET", ledger), ("POST", f"{ledger}/adjustments")):
        refused = await http.request(method, path, json={"points": 1, "reason": "x"}, headers=AS_MEMBER)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AUTH_FORBIDDEN")


async def test_the_view_log_is_filtered_and_paged(http: httpx.AsyncClient, bus: FakeBus, catalog: FakeCatalog) -> None:
    video, other = catalog.add(make_video(title="Night Train")), new_id()
    await watch(bus, video.id)
    await watch(bus, other, new_id())
    body = (await http.get(f"/api/admin/views?video_id={video.id}", headers=AS_ADMIN)).json()
    assert (body["total"], body["page"]) == (1, 1)
    line = body["items"][0]
    assert (line["login_id"], line["video_title"], line["source"]) == ("ann", "Night Train", "ssd")
    assert (line["started_at"], line["stopped_at"], line["bytes"]) == ("2026-03-01T12:00:00Z", None, None)

    async def total(query: str) -> int:
        return int((await http.get(f"/api/admin/views?{query}", headers=AS_ADMIN)).json()["total"])

    assert await total(f"user_id={MEMBER.user_id}") == 1
    assert await total("user_id=unknown") == 0
    assert await total("from=2026-03-01T12:00:00Z") == 2
    assert await total("to=2026-03-01T12:00:00Z") == 0
    assert await total("from=2026-03-01T21:00:00%2B09:00&to=2026-03-01T21:00:01%2B09:00") == 2


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-03-01T12:00:00", "format=xls", "page=0"])
async def test_invalid_filters_are_refused(http: httpx.AsyncClient, query: str) -> None:
    refused = await http.get(f"/api/admin/views?{query}", headers=AS_ADMIN)
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["fields"][0]["field"] == query.partition("=")[0]


async def test_whole_log_as_csv(http: httpx.AsyncClient, bus: FakeBus, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video(title='=HYPERLINK("http://evil";"심야, 열차")'))
    for _ in range(120):
        await watch(bus, video.id)
    answer = await http.get(f"/api/admin/views?format=csv&page_size=1&video_id={video.id}", headers=AS_ADMIN)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="views.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == 120
    assert {row["video_title"] for row in rows} == {f"'{video.title}"}
    assert (rows[0]["login_id"], rows[0]["started_at"], rows[0]["seconds"]) == ("ann", "2026-03-01T12:00:00+00:00", "")
