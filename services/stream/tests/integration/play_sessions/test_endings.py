"""What ends a session, and what its end cuts off."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.testing.fakes import event_of
from marquee.events.v1 import stream_pb2 as stream_pb2_events
from marquee.events.v1 import user_pb2
from services.stream.tests.integration.play_sessions.support import DATA, SESSIONS, sessions_of, start
from services.stream.tests.support import ServiceHarness, connected, running

pytestmark = pytest.mark.usefixtures("never_stale")


@pytest.mark.parametrize("ending", ["viewer", "beacon", "admin", "login", "account"])
async def test_ended_session_cuts_off_its_responses(harness: ServiceHarness, ending: str) -> None:
    film = harness.sparse("film.mp4", 2**33)
    session = (await start(harness, film, "viewer:member::login-1")).json()
    at_id = f"{SESSIONS}/{session['session_id']}"
    async with connected(harness.port, receive_buffer=65_536) as line, connected(harness.port) as other:
        for each in (line, other):
            each.send("GET", session["stream_url"], x_test_user="")
            await each.reader.readexactly(100_000)
        began = asyncio.get_running_loop().time()
        match ending:
            case "viewer":
                assert (await harness.call("DELETE", at_id)).status == 204
            case "beacon":
                beacon = {"x_test_user": "", "content_type": "text/plain;charset=UTF-8"}
                path = f"{at_id}/end?ticket={session['ticket']}"
                assert (await harness.call("POST", path, {"position": 7}, **beacon)).status == 204
                assert (await harness.call("POST", path, **beacon)).status == 204, "once is enough"
            case "admin":
                path = f"/api/admin/streams/{session['session_id']}"
                assert (await harness.call("DELETE", path)).status == 403
                assert (await harness.call("DELETE", path, x_test_user="root:admin")).status == 204
            case "login":
                harness.auth.ended_logins.append("login-1")
            case "account":
                event = event_of("user.suspended", user_pb2.UserSuspended(user_id="viewer"), subject="viewer")
                await harness.bus.deliver(event)
        for each in (line, other):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await each.reader.readexactly(2**32)
        assert asyncio.get_running_loop().time() - began < 2
    assert await sessions_of(harness) == []
    answer = await harness.call("GET", session["stream_url"], x_test_user="")
    assert answer.status == (401 if ending == "login" else 404)
    await harness.idle()


async def test_a_beacon_ends_its_own_session_only(harness: ServiceHarness, film: str) -> None:
    first, second = (await start(harness, film)).json(), (await start(harness, film)).json()
    for ticket in ("", "?ticket=", f"?ticket={second['ticket']}", f"?ticket={first['ticket']}x"):
        refused = await harness.call("POST", f"{SESSIONS}/{first['session_id']}/end{ticket}")
        assert refused.code == "AUTH_INVALID_TOKEN"
    assert len(await sessions_of(harness)) == 2


async def test_embedded_stop_ends_all_sessions(store: Path, sockets: Path) -> None:
    async with running(store, sockets) as harness:
        film = harness.store("film.mp4", DATA)
        session = (await start(harness, film)).json()
        await harness.call("GET", session["stream_url"], x_test_user="")
        await harness.idle()
    found = [
        each.read(stream_pb2_events.StreamStopped) for each in harness.bus.published if each.type == "stream.stopped"
    ]
    assert [(each.reason, each.bytes_transferred) for each in found] == [("ended", len(DATA))]
