"""Limits of users and of the platform, the queue, and takeovers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.stream.tests.integration.play_sessions.support import DATA, LIMITS, SESSIONS, fill, sessions_of, start
from services.stream.tests.support import ServiceHarness, fetch, running, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")


async def test_a_users_limit_refuses_at_once_and_names_their_devices(harness: ServiceHarness, film: str) -> None:
    first = (await start(harness, film, device_name="Living room TV")).json()
    await harness.get(film, user_agent="VLC/3.0.20 LibVLC/3.0.20")
    refused = await start(harness, film)
    assert (refused.status, refused.code) == (429, "STREAM_RATE_LIMITED")
    details = refused.json()["error"]["details"]
    assert (details["scope"], details["limit"]) == ("user", 2)
    assert [each["device_name"] for each in details["devices"]] == ["Living room TV", "VLC"]
    assert details["devices"][0] | {"video_id": film, "title": "A film", "status": "active"} == details["devices"][0]
    assert (await harness.get(film, user_agent="curl/8")).code == "STREAM_RATE_LIMITED"
    assert (await harness.call("DELETE", f"{SESSIONS}/{first['session_id']}")).status == 204
    assert (await start(harness, film)).status == 201


async def test_addresses_of_one_ipv6_network_are_one_client(store: Path, sockets: Path) -> None:
    """A host with privacy extensions (RFC 8981) changes its address in the middle of a film."""
    async with running(store, sockets, trusted_proxies="127.0.0.1", **LIMITS) as harness:
        film = harness.store("film.mp4", DATA)
        for address in ("2001:db8:1:2::1", "2001:db8:1:2:a:b:c:d", "2001:db8:1:2::1", "2001:db8:1:2:ffff::"):
            assert (await harness.get(film, x_forwarded_for=address, user_agent="VLC/3.0.20")).status == 200
        assert len(await sessions_of(harness)) == 1
        assert (await harness.get(film, x_forwarded_for="2001:db8:1:3::1", user_agent="VLC/3.0.20")).status == 200
        assert len(await sessions_of(harness)) == 2


async def test_the_platforms_limit_queues_in_order_and_then_refuses(harness: ServiceHarness, film: str) -> None:
    playing = await fill(harness, film)
    assert len(playing) == LIMITS["max_streams"]
    first, second = await start(harness, film, "ann"), await start(harness, film, "bob")
    assert [(each.status, each.json()["position"]) for each in (first, second)] == [(202, 1), (202, 2)]
    assert int(first.headers["retry-after"]) == first.json()["retry_after_sec"] == 5
    assert "ticket" not in first.json()
    refused = await start(harness, film, "cid")
    assert (refused.status, refused.json()["error"]["details"]["scope"]) == (429, "server")
    assert "retry-after" in refused.headers
    assert (await harness.get(film, x_test_user="cid")).code == "STREAM_RATE_LIMITED", "what has no player never waits"
    waiting = [(f"{SESSIONS}/{each.json()['session_id']}", user) for each, user in ((first, "ann"), (second, "bob"))]
    # The first gives up; the slot that then becomes free is for the second.
    await harness.call("DELETE", waiting[0][0], x_test_user="ann")
    assert (await harness.call("GET", waiting[1][0], x_test_user="bob")).json()["position"] == 1
    await harness.call("DELETE", f"{SESSIONS}/{playing[0]}", x_test_user="filler-0")
    granted = await harness.call("POST", f"{waiting[1][0]}/heartbeat", x_test_user="bob")
    assert (granted.status, granted.json()["status"]) == (200, "active")
    assert (await harness.call("GET", granted.json()["stream_url"], x_test_user="")).status == 200


async def test_a_viewer_takes_over_from_another_device(harness: ServiceHarness, film: str) -> None:
    tv = (await start(harness, film, device_name="TV")).json()
    await start(harness, film)
    assert (await start(harness, film)).status == 429
    taken = await start(harness, film, device_name="Phone", instead_of=tv["session_id"])
    assert taken.status == 201
    assert {each["session_id"] for each in await sessions_of(harness)} & {tv["session_id"]} == set()
    over = await harness.call("POST", f"{SESSIONS}/{tv['session_id']}/heartbeat")
    assert (over.code, over.json()["error"]["details"]) == ("STREAM_SESSION_NOT_FOUND", {"reason": "replaced"})
    assert (await start(harness, film, "mallory", instead_of=taken.json()["session_id"])).status == 201
    assert (await harness.call("GET", f"{SESSIONS}/{taken.json()['session_id']}")).status == 200, "not theirs to take"


async def test_connections_of_one_client_are_one_session_and_four_tabs_are_four(
    harness: ServiceHarness, film: str
) -> None:
    downloader = {"user_agent": "aria2/1.36.0"}
    answers = await asyncio.gather(*(harness.get(film, range=f"bytes={n}-{n}", **downloader) for n in range(16)))
    assert {each.status for each in answers} == {206}
    (session,) = await sessions_of(harness)
    assert session["device_name"] == "aria2"
    again, is_short = await fetch(harness, stream_path(film), range="bytes=5-6", **downloader)
    assert (again.status, is_short) == (206, True)
    assert len(await sessions_of(harness)) == 1
    tabs = await asyncio.gather(*(start(harness, film, "tabs") for _ in range(4)))
    assert sorted(each.status for each in tabs) == [201, 201, 429, 429]


async def test_request_without_bytes_needs_no_slot(harness: ServiceHarness, film: str) -> None:
    await fill(harness, film)
    await start(harness, film, "viewer")
    for _ in range(2):
        assert (await harness.call("HEAD", stream_path(film))).status == 200
        assert (await harness.call("GET", f"{stream_path(film)}/info")).status == 200
    assert (await harness.get(film)).status == 429
