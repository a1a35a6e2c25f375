"""Play sessions over HTTP: what each route answers, and what a session's bytes depend on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from kit.testing.fakes import event_of
from marquee.events.v1 import stream_pb2 as stream_pb2_events
from marquee.events.v1 import user_pb2, video_pb2
from services.stream.tests.support import Answer, Stage, connected, fetch, make_movie, running, stream_path, until

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(600_000)
SESSIONS = "/api/play-sessions"
LIMITS = {"max_streams": 4, "max_streams_per_user": 2, "stream_queue": 2}


@pytest.fixture
async def stage(store: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr("kit.auth.client.REVOCATIONS_SEC", 0.1)
    async with running(store, sockets, **LIMITS) as stage:
        yield stage


@pytest.fixture
def film(stage: Stage) -> str:
    return stage.store("film.mp4", DATA)


async def start(stage: Stage, film: str, user: str = "viewer", **body: Any) -> Answer:
    return await stage.call("POST", SESSIONS, {"video_id": film} | body, x_test_user=user)


async def fill(stage: Stage, film: str) -> list[str]:
    """Take every free slot, each for another user; return the sessions."""
    ids: list[str] = []
    while (answer := await start(stage, film, f"filler-{len(ids)}")).status == 201:
        ids.append(answer.json()["session_id"])
    await stage.call("DELETE", f"{SESSIONS}/{answer.json()['session_id']}", x_test_user=f"filler-{len(ids)}")
    return ids


async def sessions_of(stage: Stage, user: str = "viewer") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await stage.call("GET", SESSIONS, x_test_user=user)).json()["items"]
    return listed


async def test_a_session_has_a_url_that_needs_no_login(stage: Stage, film: str) -> None:
    answer = await start(stage, film, device_name="거실 TV")
    assert answer.status == 201
    session = answer.json()
    assert session | {"status": "active", "video_id": film, "device_name": "거실 TV"} == session
    assert (session["heartbeat_sec"], session["idle_sec"]) == (10, 30)
    assert session["stream_url"] == f"{stream_path(film)}?ticket={session['ticket']}"
    played = await stage.call("GET", session["stream_url"], x_test_user="", range="bytes=5-9")
    assert (played.status, played.body) == (206, DATA[5:10])
    again, is_short = await fetch(stage, session["stream_url"], x_test_user="", range="bytes=7-9")
    assert (again.body, is_short) == (DATA[7:10], True)
    (mine,) = await sessions_of(stage)
    assert mine["session_id"] == session["session_id"]
    assert "ticket" not in mine


@pytest.mark.parametrize("spoilt", ["x", "other", "cut", "dot", "", "expired"])
async def test_only_a_good_ticket_of_this_video_counts(
    stage: Stage, film: str, spoilt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spoilt == "expired":
        monkeypatch.setattr("services.stream.sessions.tickets.TICKET_SEC", -1)
    ticket = (await start(stage, film)).json()["ticket"]
    given = {
        "x": "x" + ticket,
        "other": (await start(stage, stage.store("other.mp4", DATA))).json()["ticket"],
        "cut": ticket[:-1],
        "dot": ticket.replace(".", ""),
        "": "",
        "expired": ticket,
    }[spoilt]
    # Even with a login: a ticket comes first.
    answer = await stage.call("GET", f"{stream_path(film)}?ticket={given}")
    assert (answer.status, answer.code) == (401, "AUTH_TOKEN_EXPIRED" if spoilt == "expired" else "AUTH_INVALID_TOKEN")


async def test_a_ticket_opens_media_urls_only(stage: Stage, film: str) -> None:
    session = (await start(stage, film)).json()
    query = f"?ticket={session['ticket']}"
    for method, path in (
        ("GET", SESSIONS),
        ("GET", f"{SESSIONS}/{session['session_id']}"),
        ("POST", f"{SESSIONS}/{session['session_id']}/heartbeat"),
        ("DELETE", f"{SESSIONS}/{session['session_id']}"),
        ("GET", "/api/admin/streams"),
    ):
        assert (await stage.call(method, path + query, x_test_user="")).status == 401
    assert (await stage.call("GET", f"{stream_path(film)}/info{query}", x_test_user="")).status == 200
    assert (await stage.call("HEAD", f"{stream_path(film)}{query}", x_test_user="")).status == 200


async def test_ticket_opens_only_what_its_viewer_may_see(stage: Stage) -> None:
    theirs = stage.store("theirs.mp4", DATA, corporation_id="acme")
    assert (await start(stage, theirs, "someone")).status == 404
    session = (await start(stage, theirs, "someone:member:acme")).json()
    assert (await stage.call("GET", session["stream_url"], x_test_user="")).status == 200


async def test_a_film_whose_index_comes_last_is_played_from_its_beginning(stage: Stage) -> None:
    film = stage.add(await make_movie(stage.root / "slow.mp4"))
    session = (await start(stage, film)).json()
    assert session["stream_url"] == f"{stream_path(film)}?start=0&ticket={session['ticket']}"
    first, _ = await fetch(stage, session["stream_url"], x_test_user="")
    again, is_short = await fetch(stage, session["stream_url"], x_test_user="")
    assert (first.status, again.body, is_short) == (200, first.body, True)


async def test_a_users_limit_refuses_at_once_and_names_their_devices(stage: Stage, film: str) -> None:
    first = (await start(stage, film, device_name="Living room TV")).json()
    await stage.get(film, user_agent="VLC/3.0.20 LibVLC/3.0.20")
    refused = await start(stage, film)
    assert (refused.status, refused.code) == (429, "STREAM_RATE_LIMITED")
    details = refused.json()["error"]["details"]
    assert (details["scope"], details["limit"]) == ("user", 2)
    assert [each["device_name"] for each in details["devices"]] == ["Living room TV", "VLC"]
    assert details["devices"][0] | {"video_id": film, "title": "A film", "status": "active"} == details["devices"][0]
    assert (await stage.get(film, user_agent="curl/8")).code == "STREAM_RATE_LIMITED"
    assert (await stage.call("DELETE", f"{SESSIONS}/{first['session_id']}")).status == 204
    assert (await start(stage, film)).status == 201


async def test_addresses_of_one_ipv6_network_are_one_client(store: Path, sockets: Path) -> None:
    """A host with privacy extensions (RFC 8981) changes its address in the middle of a film."""
    async with running(store, sockets, trusted_proxies="127.0.0.1", **LIMITS) as stage:
        film = stage.store("film.mp4", DATA)
        for address in ("2001:db8:1:2::1", "2001:db8:1:2:a:b:c:d", "2001:db8:1:2::1", "2001:db8:1:2:ffff::"):
            assert (await stage.get(film, x_forwarded_for=address, user_agent="VLC/3.0.20")).status == 200
        assert len(await sessions_of(stage)) == 1
        assert (await stage.get(film, x_forwarded_for="2001:db8:1:3::1", user_agent="VLC/3.0.20")).status == 200
        assert len(await sessions_of(stage)) == 2


async def test_the_platforms_limit_queues_in_order_and_then_refuses(stage: Stage, film: str) -> None:
    playing = await fill(stage, film)
    assert len(playing) == LIMITS["max_streams"]
    first, second = await start(stage, film, "ann"), await start(stage, film, "bob")
    assert [(each.status, each.json()["position"]) for each in (first, second)] == [(202, 1), (202, 2)]
    assert int(first.headers["retry-after"]) == first.json()["retry_after_sec"] == 5
    assert "ticket" not in first.json()
    refused = await start(stage, film, "cid")
    assert (refused.status, refused.json()["error"]["details"]["scope"]) == (429, "server")
    assert "retry-after" in refused.headers
    assert (await stage.get(film, x_test_user="cid")).code == "STREAM_RATE_LIMITED", "what has no player never waits"
    waiting = [(f"{SESSIONS}/{each.json()['session_id']}", user) for each, user in ((first, "ann"), (second, "bob"))]
    # The first gives up; the slot that then becomes free is for the second.
    await stage.call("DELETE", waiting[0][0], x_test_user="ann")
    assert (await stage.call("GET", waiting[1][0], x_test_user="bob")).json()["position"] == 1
    await stage.call("DELETE", f"{SESSIONS}/{playing[0]}", x_test_user="filler-0")
    granted = await stage.call("POST", f"{waiting[1][0]}/heartbeat", x_test_user="bob")
    assert (granted.status, granted.json()["status"]) == (200, "active")
    assert (await stage.call("GET", granted.json()["stream_url"], x_test_user="")).status == 200


async def test_a_viewer_takes_over_from_another_device(stage: Stage, film: str) -> None:
    tv = (await start(stage, film, device_name="TV")).json()
    await start(stage, film)
    assert (await start(stage, film)).status == 429
    taken = await start(stage, film, device_name="Phone", instead_of=tv["session_id"])
    assert taken.status == 201
    assert {each["session_id"] for each in await sessions_of(stage)} & {tv["session_id"]} == set()
    over = await stage.call("POST", f"{SESSIONS}/{tv['session_id']}/heartbeat")
    assert (over.code, over.json()["error"]["details"]) == ("STREAM_SESSION_NOT_FOUND", {"reason": "replaced"})
    assert (await start(stage, film, "mallory", instead_of=taken.json()["session_id"])).status == 201
    assert (await stage.call("GET", f"{SESSIONS}/{taken.json()['session_id']}")).status == 200, "not theirs to take"


@pytest.mark.parametrize("ending", ["viewer", "beacon", "admin", "login", "account"])
async def test_ended_session_cuts_off_its_responses(stage: Stage, ending: str) -> None:
    film = stage.sparse("film.mp4", 2**33)
    session = (await start(stage, film, "viewer:member::login-1")).json()
    at_id = f"{SESSIONS}/{session['session_id']}"
    async with connected(stage.port, receive_buffer=65_536) as line, connected(stage.port) as other:
        for each in (line, other):
            each.send("GET", session["stream_url"], x_test_user="")
            await each.reader.readexactly(100_000)
        began = asyncio.get_running_loop().time()
        match ending:
            case "viewer":
                assert (await stage.call("DELETE", at_id)).status == 204
            case "beacon":
                beacon = {"x_test_user": "", "content_type": "text/plain;charset=UTF-8"}
                path = f"{at_id}/end?ticket={session['ticket']}"
                assert (await stage.call("POST", path, {"position": 7}, **beacon)).status == 204
                assert (await stage.call("POST", path, **beacon)).status == 204, "once is enough"
            case "admin":
                path = f"/api/admin/streams/{session['session_id']}"
                assert (await stage.call("DELETE", path)).status == 403
                assert (await stage.call("DELETE", path, x_test_user="root:admin")).status == 204
            case "login":
                stage.auth.ended_logins.append("login-1")
            case "account":
                event = event_of("user.suspended", user_pb2.UserSuspended(user_id="viewer"), subject="viewer")
                await stage.bus.deliver(event)
        for each in (line, other):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await each.reader.readexactly(2**32)
        assert asyncio.get_running_loop().time() - began < 2
    assert await sessions_of(stage) == []
    answer = await stage.call("GET", session["stream_url"], x_test_user="")
    assert answer.status == (401 if ending == "login" else 404)
    await stage.idle()


async def test_connections_of_one_client_are_one_session_and_four_tabs_are_four(stage: Stage, film: str) -> None:
    downloader = {"user_agent": "aria2/1.36.0"}
    answers = await asyncio.gather(*(stage.get(film, range=f"bytes={n}-{n}", **downloader) for n in range(16)))
    assert {each.status for each in answers} == {206}
    (session,) = await sessions_of(stage)
    assert session["device_name"] == "aria2"
    again, is_short = await fetch(stage, stream_path(film), range="bytes=5-6", **downloader)
    assert (again.status, is_short) == (206, True)
    assert len(await sessions_of(stage)) == 1
    tabs = await asyncio.gather(*(start(stage, film, "tabs") for _ in range(4)))
    assert sorted(each.status for each in tabs) == [201, 201, 429, 429]


async def test_request_without_bytes_needs_no_slot(stage: Stage, film: str) -> None:
    await fill(stage, film)
    await start(stage, film, "viewer")
    for _ in range(2):
        assert (await stage.call("HEAD", stream_path(film))).status == 200
        assert (await stage.call("GET", f"{stream_path(film)}/info")).status == 200
    assert (await stage.get(film)).status == 429


async def test_heartbeats_bring_fresh_tickets_to_their_viewer_alone(stage: Stage, film: str) -> None:
    session = (await start(stage, film)).json()
    beat = f"{SESSIONS}/{session['session_id']}/heartbeat"
    answer = await stage.call("POST", beat, {"ticket": session["ticket"]})
    assert (answer.status, answer.json()["session_id"]) == (200, session["session_id"])
    assert (await stage.call("GET", answer.json()["stream_url"], x_test_user="")).status == 200
    for path in (beat, f"{SESSIONS}/{session['session_id']}/qoe"):
        refused = await stage.call("POST", path, {}, x_test_user="mallory")
        assert refused.code == "STREAM_SESSION_NOT_FOUND"
    at_id = f"{SESSIONS}/{session['session_id']}"
    for method in ("GET", "DELETE"):
        assert (await stage.call(method, at_id, x_test_user="mallory")).code == "STREAM_SESSION_NOT_FOUND"
    assert (await stage.call("POST", f"{SESSIONS}/no-id/heartbeat")).code == "STREAM_SESSION_NOT_FOUND"
    (mine,) = await sessions_of(stage)
    assert mine["session_id"] == session["session_id"]


async def test_a_beacon_ends_its_own_session_only(stage: Stage, film: str) -> None:
    first, second = (await start(stage, film)).json(), (await start(stage, film)).json()
    for ticket in ("", "?ticket=", f"?ticket={second['ticket']}", f"?ticket={first['ticket']}x"):
        refused = await stage.call("POST", f"{SESSIONS}/{first['session_id']}/end{ticket}")
        assert refused.code == "AUTH_INVALID_TOKEN"
    assert len(await sessions_of(stage)) == 2


async def test_admin_lists_streams_of_all_users(stage: Stage, film: str) -> None:
    playing = await fill(stage, film)
    await start(stage, film, "late", device_name="Watch")
    first = (await stage.call("GET", f"{SESSIONS}/{playing[0]}", x_test_user="filler-0")).json()
    await stage.call("GET", first["stream_url"], x_test_user="")
    await stage.idle()
    await stage.registry.renew()
    assert (await stage.call("GET", "/api/admin/streams")).status == 403
    page = (await stage.call("GET", "/api/admin/streams?page_size=3", x_test_user="root:admin")).json()
    assert (page["total"], page["page_size"], [each["session_id"] for each in page["items"]]) == (5, 3, playing[:3])
    found = page["items"][0]
    assert (
        found
        | {
            "user_id": "filler-0",
            "display_name": "Filler-0",
            "video_id": film,
            "title": "A film",
            "status": "active",
            "kind": "explicit",
            "source": "nas",
            "bytes_sent": len(DATA),
            "replica": "embedded",
        }
        == found
    )
    assert found["rate_mbps"] > 0
    last = (await stage.call("GET", "/api/admin/streams?page=2&page_size=3", x_test_user="root:admin")).json()
    assert [(each["status"], each["device_name"]) for each in last["items"]][1] == ("queued", "Watch")
    metrics = (await stage.call("GET", "/api/admin/streams/metrics", x_test_user="root:admin")).json()
    assert metrics | {"active": 4, "queued": 1, "max_streams": 4, "users": 5, "bytes_sent": len(DATA)} == metrics
    assert (metrics["sources"], metrics["opens_in_sec"]) == ({"nas": 4}, 0)
    # One answer has all that the dashboard shows; a rate and a mean grow between two looks.
    moving = {"bandwidth_mbps", "avg_duration_sec"}
    assert {name: last["metrics"][name] for name in metrics.keys() - moving} == {
        name: metrics[name] for name in metrics.keys() - moving
    }
    assert (await stage.call("GET", "/api/admin/streams/metrics")).status == 403


async def test_events_have_bytes_and_reason(stage: Stage, film: str) -> None:
    session = (await start(stage, film)).json()
    await stage.call("GET", session["stream_url"], x_test_user="", range="bytes=0-999")
    await stage.idle()
    with capture_logs() as logs:
        await stage.call("DELETE", f"{SESSIONS}/{session['session_id']}")
        await until(lambda: stage.bus.types() == ["stream.started", "stream.stopped"])
        await until(lambda: any(line["event"] == "stream_stopped" for line in logs))
    found = stage.bus.published[1].read(stream_pb2_events.StreamStopped)
    assert (found.session_id, found.user_id, found.video_id) == (session["session_id"], "viewer", film)
    assert (found.bytes_transferred, found.reason, found.source) == (1000, "stopped", "nas")
    (line,) = [line for line in logs if line["event"] == "stream_stopped"]
    same = {"session_id": found.session_id, "user_id": "viewer", "content_id": film, "bytes": 1000, "reason": "stopped"}
    assert dict(line) | same | {"source": "nas", "cache_hit": False} == dict(line)


@pytest.mark.parametrize("kind", ["start", "implicit", "ticket"])
async def test_a_missing_file_is_said_once_by_an_event(
    stage: Stage, film: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.open_files.FRESH_SEC", 0)
    session = (await start(stage, film)).json()
    missing = film
    (stage.root / "film.mp4").unlink()
    stage.catalog.sources[film].version = 2
    await stage.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
    for _ in range(3):
        match kind:
            case "start":
                answer = await start(stage, missing)
            case "implicit":
                answer = await stage.get(missing)
            case _:
                answer = await stage.call("GET", session["stream_url"], x_test_user="")
        assert (answer.status, answer.code) == (503, "STREAM_FILE_UNAVAILABLE")
    await until(lambda: "stream.error" in stage.bus.types())
    (error,) = [each for each in stage.bus.published if each.type == "stream.error"]
    found = error.read(stream_pb2_events.StreamError)
    assert (found.video_id, found.error_code) == (film, "STREAM_FILE_UNAVAILABLE")
    assert len(await sessions_of(stage)) == 1, "what failed holds no slot"


async def test_player_reports_become_metrics(stage: Stage, film: str) -> None:
    path = f"{SESSIONS}/{(await start(stage, film)).json()['session_id']}/qoe"
    before = sample("player_startup_seconds_count"), sample("player_stalls_total")
    report = {"startup_ms": 450, "stalls": 2, "stall_ms": 900, "dropped_frames": 3}
    for body in (report, report | {"startup_ms": None, "stalls": 3}, {}):
        assert (await stage.call("POST", path, body)).status == 204
    assert sample("player_startup_seconds_count") - before[0] == 1
    assert sample("player_stalls_total") - before[1] == 3
    for wrong in ({"startup_ms": -1}, {"stalls": 10**9}, {"stall_ms": "x"}, {"dropped_frames": 1.5}, {"x": 1}):
        assert (await stage.call("POST", path, report | wrong)).code == "VALIDATION_FAILED"
    metrics = (await stage.call("GET", "/metrics", x_test_user="")).body.decode()
    for name in ("player_stall_ratio_bucket", "stream_active_count", "stream_avg_duration", "stream_bandwidth_mbps"):
        assert name in metrics


async def test_other_origins_may_read_ticketed_media_where_bytes_have_their_own(store: Path, sockets: Path) -> None:
    async with running(store, sockets, stream_public_url="https://media.example.org/") as stage:
        film = stage.store("film.mp4", DATA)
        session = (await start(stage, film)).json()
        public = "https://media.example.org"
        assert session["stream_url"].startswith(f"{public}{stream_path(film)}?ticket=")
        path = session["stream_url"].removeprefix(public)
        for _ in range(2):
            answer = await stage.call("GET", path, x_test_user="", range="bytes=0-1", origin="https://tv.example.org")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "Content-Range" in answer.headers["access-control-expose-headers"]
        refused = await stage.call("GET", path + "x", x_test_user="")
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "*")
        listed = await stage.call("GET", SESSIONS)
        assert "access-control-allow-origin" not in listed.headers, "what needs a login is for the site alone"
        preflight = await stage.call("OPTIONS", path, x_test_user="", origin="https://tv.example.org")
        assert (preflight.status, preflight.headers["access-control-allow-methods"]) == (204, "GET, HEAD")
        assert "If-Range" in preflight.headers["access-control-allow-headers"]


async def test_no_log_is_even_given_a_ticket(stage: Stage, film: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with capture_logs() as logs:
        session = (await start(stage, film)).json()
        await stage.call("GET", session["stream_url"], x_test_user="")
        await stage.call("GET", session["stream_url"] + "x", x_test_user="")
        await stage.call("POST", f"{SESSIONS}/{session['session_id']}/end?ticket={session['ticket']}", x_test_user="")
        await stage.call("GET", session["stream_url"], x_test_user="")
        await stage.idle()
    assert {"http_request", "stream_response"} <= {line["event"] for line in logs}
    # Uvicorn's own access log is off; only pytest listens there.
    others = [record.getMessage() for record in caplog.records if record.name != "uvicorn.access"]
    assert session["ticket"].partition(".")[2] not in repr((logs, others))


async def test_embedded_stop_ends_all_sessions(store: Path, sockets: Path) -> None:
    async with running(store, sockets) as stage:
        film = stage.store("film.mp4", DATA)
        session = (await start(stage, film)).json()
        await stage.call("GET", session["stream_url"], x_test_user="")
        await stage.idle()
    found = [
        each.read(stream_pb2_events.StreamStopped) for each in stage.bus.published if each.type == "stream.stopped"
    ]
    assert [(each.reason, each.bytes_transferred) for each in found] == [("ended", len(DATA))]


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0
