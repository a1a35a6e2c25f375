"""What a ticket opens, who gets a fresh one, and where none may appear."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.stream.tests.integration.play_sessions.support import DATA, SESSIONS, sessions_of, start
from services.stream.tests.support import ServiceHarness, fetch, make_movie, running, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")


async def test_a_session_has_a_url_that_needs_no_login(harness: ServiceHarness, film: str) -> None:
    answer = await start(harness, film, device_name="거실 TV")
    assert answer.status == 201
    session = answer.json()
    assert session | {"status": "active", "video_id": film, "device_name": "거실 TV"} == session
    assert (session["heartbeat_sec"], session["idle_sec"]) == (10, 30)
    assert session["stream_url"] == f"{stream_path(film)}?ticket={session['ticket']}"
    played = await harness.call("GET", session["stream_url"], x_test_user="", range="bytes=5-9")
    assert (played.status, played.body) == (206, DATA[5:10])
    again, is_short = await fetch(harness, session["stream_url"], x_test_user="", range="bytes=7-9")
    assert (again.body, is_short) == (DATA[7:10], True)
    (mine,) = await sessions_of(harness)
    assert mine["session_id"] == session["session_id"]
    assert "ticket" not in mine


@pytest.mark.parametrize("spoilt", ["x", "other", "cut", "dot", "", "expired"])
async def test_only_a_good_ticket_of_this_video_counts(
    harness: ServiceHarness, film: str, spoilt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spoilt == "expired":
        monkeypatch.setattr("services.stream.sessions.tickets.TICKET_SEC", -1)
    ticket = (await start(harness, film)).json()["ticket"]
    given = {
        "x": "x" + ticket,
        "other": (await start(harness, harness.store("other.mp4", DATA))).json()["ticket"],
        "cut": ticket[:-1],
        "dot": ticket.replace(".", ""),
        "": "",
        "expired": ticket,
    }[spoilt]
    # Even with a login: a ticket comes first.
    answer = await harness.call("GET", f"{stream_path(film)}?ticket={given}")
    assert (answer.status, answer.code) == (401, "AUTH_TOKEN_EXPIRED" if spoilt == "expired" else "AUTH_INVALID_TOKEN")


async def test_a_ticket_opens_media_urls_only(harness: ServiceHarness, film: str) -> None:
    session = (await start(harness, film)).json()
    query = f"?ticket={session['ticket']}"
    for method, path in (
        ("GET", SESSIONS),
        ("GET", f"{SESSIONS}/{session['session_id']}"),
        ("POST", f"{SESSIONS}/{session['session_id']}/heartbeat"),
        ("DELETE", f"{SESSIONS}/{session['session_id']}"),
        ("GET", "/api/admin/streams"),
    ):
        assert (await harness.call(method, path + query, x_test_user="")).status == 401
    assert (await harness.call("GET", f"{stream_path(film)}/info{query}", x_test_user="")).status == 200
    assert (await harness.call("HEAD", f"{stream_path(film)}{query}", x_test_user="")).status == 200


async def test_ticket_opens_only_what_its_viewer_may_see(harness: ServiceHarness) -> None:
    theirs = harness.store("theirs.mp4", DATA, corporation_id="acme")
    assert (await start(harness, theirs, "someone")).status == 404
    session = (await start(harness, theirs, "someone:member:acme")).json()
    assert (await harness.call("GET", session["stream_url"], x_test_user="")).status == 200


async def test_a_film_whose_index_comes_last_is_played_from_its_beginning(harness: ServiceHarness) -> None:
    film = harness.add(await make_movie(harness.root / "slow.mp4"))
    session = (await start(harness, film)).json()
    assert session["stream_url"] == f"{stream_path(film)}?start=0&ticket={session['ticket']}"
    first, _ = await fetch(harness, session["stream_url"], x_test_user="")
    again, is_short = await fetch(harness, session["stream_url"], x_test_user="")
    assert (first.status, again.body, is_short) == (200, first.body, True)


async def test_heartbeats_bring_fresh_tickets_to_their_viewer_alone(harness: ServiceHarness, film: str) -> None:
    session = (await start(harness, film)).json()
    beat = f"{SESSIONS}/{session['session_id']}/heartbeat"
    answer = await harness.call("POST", beat, {"ticket": session["ticket"]})
    assert (answer.status, answer.json()["session_id"]) == (200, session["session_id"])
    assert (await harness.call("GET", answer.json()["stream_url"], x_test_user="")).status == 200
    for path in (beat, f"{SESSIONS}/{session['session_id']}/qoe"):
        refused = await harness.call("POST", path, {}, x_test_user="mallory")
        assert refused.code == "STREAM_SESSION_NOT_FOUND"
    at_id = f"{SESSIONS}/{session['session_id']}"
    for method in ("GET", "DELETE"):
        assert (await harness.call(method, at_id, x_test_user="mallory")).code == "STREAM_SESSION_NOT_FOUND"
    assert (await harness.call("POST", f"{SESSIONS}/no-id/heartbeat")).code == "STREAM_SESSION_NOT_FOUND"
    (mine,) = await sessions_of(harness)
    assert mine["session_id"] == session["session_id"]


async def test_other_origins_may_read_ticketed_media_where_bytes_have_their_own(store: Path, sockets: Path) -> None:
    async with running(store, sockets, stream_public_url="https://media.example.org/") as harness:
        film = harness.store("film.mp4", DATA)
        session = (await start(harness, film)).json()
        public = "https://media.example.org"
        assert session["stream_url"].startswith(f"{public}{stream_path(film)}?ticket=")
        path = session["stream_url"].removeprefix(public)
        for _ in range(2):
            answer = await harness.call("GET", path, x_test_user="", range="bytes=0-1", origin="https://tv.example.org")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "Content-Range" in answer.headers["access-control-expose-headers"]
        refused = await harness.call("GET", path + "x", x_test_user="")
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "*")
        listed = await harness.call("GET", SESSIONS)
        assert "access-control-allow-origin" not in listed.headers, "what needs a login is for the site alone"
        preflight = await harness.call("OPTIONS", path, x_test_user="", origin="https://tv.example.org")
        assert (preflight.status, preflight.headers["access-control-allow-methods"]) == (204, "GET, HEAD")
        assert "If-Range" in preflight.headers["access-control-allow-headers"]


async def test_no_log_is_even_given_a_ticket(
    harness: ServiceHarness, film: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with capture_logs() as logs:
        session = (await start(harness, film)).json()
        await harness.call("GET", session["stream_url"], x_test_user="")
        await harness.call("GET", session["stream_url"] + "x", x_test_user="")
        await harness.call("POST", f"{SESSIONS}/{session['session_id']}/end?ticket={session['ticket']}", x_test_user="")
        await harness.call("GET", session["stream_url"], x_test_user="")
        await harness.idle()
    assert {"http_request", "stream_response"} <= {line["event"] for line in logs}
    # Uvicorn's own access log is off; only pytest listens there.
    others = [record.getMessage() for record in caplog.records if record.name != "uvicorn.access"]
    assert session["ticket"].partition(".")[2] not in repr((logs, others))
