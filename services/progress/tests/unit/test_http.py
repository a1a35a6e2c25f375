"""The HTTP API of progress, with a fake catalog and a real, empty database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.health import Health
from kit.ids import new_id
from kit.testing.fakes import HeaderAuthenticator, as_user
from kit.web.app import create_app
from services.progress.domain import MAX_FILM_SEC
from services.progress.http import build_routers
from services.progress.service import Bookmarks, History, Points, Recorder, ViewLog, Views
from services.progress.tests.fakes import (
    ADMIN,
    COLLEAGUE,
    MEMBER,
    FakeAccounts,
    FakeCatalog,
    make_video,
    now_ms,
    session_at,
)

NOT_IDS = ["1", "not-an-id", "00000000-0000-4000-8000-00000000000G", new_id().upper(), new_id().replace("-", "")]


@pytest.fixture
def app(database: Database, catalog: FakeCatalog, accounts: FakeAccounts) -> FastAPI:
    """Progress without its neighbours."""
    points = Points(database, accounts, per_view=10)
    view_log = ViewLog(database, points, Views(database), catalog, accounts)
    routers = build_routers(
        Recorder(database, catalog), History(database, catalog), points, view_log, Bookmarks(database, catalog)
    )
    return create_app(
        "progress", title="progress", health=Health(), authenticate=HeaderAuthenticator(), routers=routers
    )


class Client:
    """Sends requests as a given caller."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def __call__(
        self, method: str, path: str, body: object = None, *, text: str | None = None, caller: Caller = MEMBER
    ) -> httpx.Response:
        """Calls with a JSON body, given as an object or as text."""
        headers = as_user(caller.user_id, caller.role, caller.corporation_id)
        if body is not None:
            text = json.dumps(body)
        return await self._http.request(
            method, path, headers={**headers, "Content-Type": "application/json"}, content=text
        )

    async def report(
        self,
        video_id: str,
        position: float | None,
        *,
        session_id: str | None = None,
        seq: int | None = None,
        caller: Caller = MEMBER,
    ) -> dict[str, object]:
        """Reports a position in 100 seconds; the answer's body."""
        body = {"position": position, "duration": 100.0, "session_id": session_id, "seq": seq}
        response = await self("PUT", f"/api/progress/{video_id}", body, caller=caller)
        assert response.status_code == 200, response.text
        answer: dict[str, object] = response.json()
        return answer


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of progress without credentials."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://progress") as client:
        yield client


@pytest.fixture
def call(http: httpx.AsyncClient) -> Client:
    """A client of progress."""
    return Client(http)


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error."""
    return response.status_code, response.json()["error"]["code"]


async def test_every_route_needs_credentials(app: FastAPI, http: httpx.AsyncClient) -> None:
    paths = app.openapi()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(routes) == 13
    for method, path in routes:
        response = await http.request(method, path.replace("{video_id}", new_id()).replace("{bookmark_id}", new_id()))
        assert refusal(response) == (401, "AUTH_INVALID_TOKEN"), (method, path)


async def test_report_is_read_back(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    assert await call.report(video.id, 17.25) == {"success": True, "progress_percent": 17}
    body = (await call("GET", f"/api/progress/{video.id}")).json()
    assert datetime.fromisoformat(body.pop("updated_at")).utcoffset() is not None
    assert body == {
        "content_id": video.id,
        "video_id": video.id,
        "position": 17.25,
        "duration": 100.0,
        "progress_percent": 17,
        "completed": False,
    }


async def test_never_watched_video_is_204(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    await call.report(video.id, 17, caller=COLLEAGUE)
    for path in (f"/api/progress/{video.id}", f"/api/users/me/history?video_id={video.id}"):
        response = await call("GET", path)
        assert (response.status_code, response.content) == (204, b"")


async def test_an_unknown_position_changes_nothing(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    assert await call.report(video.id, None) == {"success": True, "progress_percent": 0}
    assert catalog.questions == []
    assert (await call("GET", f"/api/progress/{video.id}")).status_code == 204
    await call.report(video.id, 40)
    before = (await call("GET", f"/api/progress/{video.id}")).json()
    assert await call.report(video.id, None) == {"success": True, "progress_percent": 40}
    assert (await call("GET", f"/api/progress/{video.id}")).json() == before


async def test_late_reports_are_answered_and_change_nothing(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    old, new = session_at(now_ms() - 60_000), session_at(now_ms())
    assert (await call.report(video.id, 10, session_id=old, seq=1))["progress_percent"] == 10
    assert (await call.report(video.id, 50, session_id=new, seq=3))["progress_percent"] == 50
    before = (await call("GET", f"/api/progress/{video.id}")).json()
    for session_id, seq in ((old, 900), (new, 2), (new, 3)):
        assert await call.report(video.id, 80, session_id=session_id, seq=seq) == {
            "success": True,
            "progress_percent": 50,
        }
    assert (await call("GET", f"/api/progress/{video.id}")).json() == before
    assert (await call.report(video.id, 0, session_id=new, seq=4))["progress_percent"] == 0


async def test_completed_is_set_and_cleared(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    for position, percent, completed in ((95, 95, True), (140, 100, True), (2, 2, True), (50, 50, False)):
        assert (await call.report(video.id, position))["progress_percent"] == percent
        body = (await call("GET", f"/api/progress/{video.id}")).json()
        assert (body["position"], body["completed"]) == (min(position, 100), completed)


async def test_position_can_be_set(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video(duration_sec=50))
    path = f"/api/videos/{video.id}/progress"
    states = []
    for body in (
        {"position_sec": 10},
        {"position_sec": 11, "completed": True},
        {"position_sec": 49, "completed": False},
        {"position_sec": 49},
    ):
        response = await call("POST", path, body)
        assert (response.status_code, response.content) == (204, b"")
        state = (await call("GET", f"/api/progress/{video.id}")).json()
        states.append((state["position"], state["duration"], state["progress_percent"], state["completed"]))
    assert states == [(10, 50, 20, False), (11, 50, 22, True), (49, 50, 98, False), (49, 50, 98, True)]
    await call.report(video.id, 30)
    await call("POST", path, {"position_sec": 75})
    assert (await call("GET", f"/api/progress/{video.id}")).json()["duration"] == 50
    assert len(catalog.questions) == 2, "that of the report of a longer film, too"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/progress/{}", {"position": 1, "duration": 2}),
        ("POST", "/api/videos/{}/progress", {"position_sec": 1}),
    ],
)
async def test_the_first_report_needs_a_video(
    call: Client, catalog: FakeCatalog, method: str, path: str, body: dict[str, float]
) -> None:
    processing = catalog.add(make_video(status="processing"))
    theirs = catalog.add(make_video(corporation_id=COLLEAGUE.corporation_id))
    theirs_soon = catalog.add(make_video(corporation_id=COLLEAGUE.corporation_id, status="processing"))

    async def answer(video_id: str, caller: Caller = MEMBER) -> tuple[int, str]:
        response = await call(method, path.format(video_id), body, caller=caller)
        return refusal(response) if response.is_error else (response.status_code, "")

    assert await answer(new_id()) == (404, "CONTENT_NOT_FOUND")
    assert await answer(processing.id) == (409, "CONTENT_NOT_READY")
    assert await answer(theirs.id) == (404, "CONTENT_NOT_FOUND")
    assert await answer(theirs_soon.id) == (404, "CONTENT_NOT_FOUND")
    assert (await call("GET", "/api/users/me/history")).json()["total"] == 0
    assert (await answer(theirs.id, COLLEAGUE))[0] < 300
    assert (await answer(theirs.id, ADMIN))[0] < 300


async def test_later_reports_work_without_catalog(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    catalog.is_away = True
    response = await call("PUT", f"/api/progress/{video.id}", {"position": 1, "duration": 2})
    assert refusal(response) == (503, "SERVICE_UNAVAILABLE")
    catalog.is_away = False
    await call.report(video.id, 10)
    catalog.is_away = True
    asked = len(catalog.questions)
    assert (await call.report(video.id, 20))["progress_percent"] == 20
    assert len(catalog.questions) == asked


@pytest.mark.parametrize("id_", NOT_IDS)
async def test_invalid_id_is_not_found(call: Client, catalog: FakeCatalog, id_: str) -> None:
    bodies = {"PUT": {"position": 1, "duration": 2}, "POST": {"position_sec": 1}}
    for method, path in (
        ("PUT", f"/api/progress/{id_}"),
        ("GET", f"/api/progress/{id_}"),
        ("POST", f"/api/videos/{id_}/progress"),
        ("GET", f"/api/users/me/history?video_id={id_}"),
        ("DELETE", f"/api/users/me/history?video_id={id_}"),
    ):
        assert refusal(await call(method, path, bodies.get(method))) == (404, "CONTENT_NOT_FOUND")
    assert catalog.questions == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"position": NaN, "duration": 10}', "position"),
        ('{"position": Infinity, "duration": 10}', "position"),
        ('{"position": -0.1, "duration": 10}', "position"),
        ('{"position": "soon", "duration": 10}', "position"),
        (f'{{"position": 1{"0" * 400}, "duration": 10}}', "position"),
        ('{"duration": 10}', "position"),
        ('{"position": 1}', "duration"),
        ('{"position": 1, "duration": 0}', "duration"),
        ('{"position": 1, "duration": Infinity}', "duration"),
        ('{"position": 1, "duration": null}', "duration"),
        (f'{{"position": 1, "duration": 2, "session_id": "{"x" * 65}"}}', "session_id"),
        ('{"position": 1, "duration": 2, "session_id": ""}', "session_id"),
        ('{"position": 1, "duration": 2, "session_id": "a\\u0000b"}', "session_id"),
        ('{"position": 1, "duration": 2, "session_id": "\\ud800"}', "session_id"),
        ('{"position": 1, "duration": 2, "seq": -1}', "seq"),
        ('{"position": 1, "duration": 2, "seq": 1.5}', "seq"),
        ('{"position": 1, "duration": 2, "seq": 9223372036854775808}', "seq"),
        ('{"position": 1, "duration": 2, "sequence": 1}', "sequence"),
    ],
)
async def test_malformed_fields_of_reports_are_named(call: Client, catalog: FakeCatalog, body: str, field: str) -> None:
    video = catalog.add(make_video())
    response = await call("PUT", f"/api/progress/{video.id}", text=body)
    assert refusal(response) == (422, "VALIDATION_FAILED")
    assert [item["field"] for item in response.json()["error"]["details"]["fields"]] == [field]


async def test_extreme_values_are_stored(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video())
    for position, duration, percent in (
        (MAX_FILM_SEC, MAX_FILM_SEC, 100),
        (5e-324, MAX_FILM_SEC, 0),
        (5e-324, 5e-324, 100),
    ):
        body = {"position": position, "duration": duration, "seq": 2**63 - 1, "session_id": "~" * 64}
        response = await call("PUT", f"/api/progress/{video.id}", body)
        assert response.json() == {"success": True, "progress_percent": percent}
        await call("DELETE", "/api/users/me/history")


async def test_history_is_newest_first_with_one_call_of_catalog(call: Client, catalog: FakeCatalog) -> None:
    videos = [catalog.add(make_video(title=f"Hand {n}")) for n in range(5)]
    for n, video in enumerate(videos):
        await call.report(video.id, n)
    await call.report(videos[1].id, 33)
    await call.report(videos[4].id, 99, caller=COLLEAGUE)
    catalog.questions.clear()
    page = (await call("GET", "/api/users/me/history?page_size=3")).json()
    newest = [videos[n].id for n in (1, 4, 3)]
    assert [item["video_id"] for item in page["items"]] == newest
    assert (page["page"], page["page_size"], page["total"]) == (1, 3, 5)
    assert catalog.questions == [newest]
    first = page["items"][0]
    first.pop("updated_at")
    assert first == {
        "video_id": videos[1].id,
        "position": 33,
        "last_position_sec": 33,
        "duration": 100,
        "progress_percent": 33,
        "completed": False,
        "video": {
            "id": videos[1].id,
            "title": "Hand 1",
            "duration_sec": 100,
            "thumbnail_url": None,
            "status": "ready",
        },
    }
    rest = (await call("GET", "/api/users/me/history?page_size=3&page=2")).json()
    assert [item["video_id"] for item in rest["items"]] == [videos[n].id for n in (2, 0)]
    one = (await call("GET", f"/api/users/me/history?video_id={videos[1].id}")).json()
    assert one == {**first, "updated_at": one["updated_at"]}


async def test_history_works_without_videos_and_catalog(call: Client, catalog: FakeCatalog) -> None:
    gone, theirs, there = (
        catalog.add(make_video(corporation_id=corporation)) for corporation in ("", COLLEAGUE.corporation_id, "")
    )
    for video in (gone, theirs, there):
        await call.report(video.id, 5, caller=COLLEAGUE)
    del catalog.by_id[gone.id]
    left = Caller(user_id=COLLEAGUE.user_id, role="member", status="active")

    async def titled(caller: Caller) -> list[bool]:
        page = (await call("GET", "/api/users/me/history", caller=caller)).json()
        return [item["video"] is not None for item in page["items"]]

    assert await titled(COLLEAGUE) == [True, True, False]
    assert await titled(left) == [True, False, False]
    catalog.is_away = True
    assert await titled(COLLEAGUE) == [False, False, False]
    one = await call("GET", f"/api/users/me/history?video_id={there.id}", caller=COLLEAGUE)
    assert (one.status_code, one.json()["video"]) == (200, None)


async def test_empty_history_does_not_call_catalog(call: Client, catalog: FakeCatalog) -> None:
    page = (await call("GET", "/api/users/me/history")).json()
    assert page == {"items": [], "page": 1, "page_size": 20, "total": 0}
    assert catalog.questions == []


async def test_history_can_be_deleted(call: Client, catalog: FakeCatalog) -> None:
    videos = [catalog.add(make_video()) for _ in range(3)]
    for video in videos:
        await call.report(video.id, 5)
        await call.report(video.id, 6, caller=COLLEAGUE)

    async def left(caller: Caller) -> int:
        return int((await call("GET", "/api/users/me/history", caller=caller)).json()["total"])

    for _ in range(2):
        response = await call("DELETE", f"/api/users/me/history?video_id={videos[0].id}")
        assert (response.status_code, response.content) == (204, b"")
        assert (await left(MEMBER), await left(COLLEAGUE)) == (2, 3)
    assert (await call("DELETE", "/api/users/me/history")).status_code == 204
    assert (await left(MEMBER), await left(COLLEAGUE)) == (0, 3)


@pytest.mark.parametrize(
    "value", ["1e300", "1e999", "-1", "-1e-9", "NaN", "Infinity", "-Infinity", "2592001", '"1_0"', '" 1"', '"1e300"']
)
async def test_position_or_duration_that_no_film_has_is_refused(call: Client, catalog: FakeCatalog, value: str) -> None:
    video = catalog.add(make_video())
    reports = [
        ("PUT", f"/api/progress/{video.id}", f'{{"position": {value}, "duration": 60}}'),
        ("PUT", f"/api/progress/{video.id}", f'{{"position": 1, "duration": {value}}}'),
        ("POST", f"/api/videos/{video.id}/progress", f'{{"position_sec": {value}}}'),
    ]
    for method, path, text in reports:
        assert refusal(await call(method, path, text=text)) == (422, "VALIDATION_FAILED"), text
    assert (await call("GET", f"/api/progress/{video.id}")).status_code == 204


async def test_longer_than_the_film_is_clamped_to_it(call: Client, catalog: FakeCatalog) -> None:
    video = catalog.add(make_video(duration_sec=100.0))
    path = f"/api/progress/{video.id}"
    for _ in range(2):
        await call("PUT", path, {"position": 5000, "duration": 9000})
        seen = (await call("GET", path)).json()
        assert (seen["position"], seen["duration"], seen["completed"]) == (100, 100, True)
    await call("PUT", path, {"position": 10, "duration": 100.5})
    assert (await call("GET", path)).json()["duration"] == 100.5
    await call("POST", f"/api/videos/{video.id}/progress", {"position_sec": 5000})
    assert (await call("GET", path)).json()["position"] == 100.5
