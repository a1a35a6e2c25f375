"""Sessions as administrators, events and metrics report them."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from kit.testing.fakes import event_of
from marquee.events.v1 import stream_pb2 as stream_pb2_events
from marquee.events.v1 import video_pb2
from services.stream.tests.integration.play_sessions.support import DATA, SESSIONS, fill, sessions_of, start
from services.stream.tests.support import ServiceHarness, until

pytestmark = pytest.mark.usefixtures("never_stale")


async def test_admin_lists_streams_of_all_users(harness: ServiceHarness, film: str) -> None:
    playing = await fill(harness, film)
    await start(harness, film, "late", device_name="Watch")
    first = (await harness.call("GET", f"{SESSIONS}/{playing[0]}", x_test_user="filler-0")).json()
    await harness.call("GET", first["stream_url"], x_test_user="")
    await harness.idle()
    await harness.registry.renew()
    assert (await harness.call("GET", "/api/admin/streams")).status == 403
    page = (await harness.call("GET", "/api/admin/streams?page_size=3", x_test_user="root:admin")).json()
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
    last = (await harness.call("GET", "/api/admin/streams?page=2&page_size=3", x_test_user="root:admin")).json()
    assert [(each["status"], each["device_name"]) for each in last["items"]][1] == ("queued", "Watch")
    metrics = (await harness.call("GET", "/api/admin/streams/metrics", x_test_user="root:admin")).json()
    assert metrics | {"active": 4, "queued": 1, "max_streams": 4, "users": 5, "bytes_sent": len(DATA)} == metrics
    assert (metrics["sources"], metrics["opens_in_sec"]) == ({"nas": 4}, 0)
    # One answer has all that the dashboard shows; a rate and a mean grow between two looks.
    moving = {"bandwidth_mbps", "avg_duration_sec"}
    assert {name: last["metrics"][name] for name in metrics.keys() - moving} == {
        name: metrics[name] for name in metrics.keys() - moving
    }
    assert (await harness.call("GET", "/api/admin/streams/metrics")).status == 403


async def test_events_have_bytes_and_reason(harness: ServiceHarness, film: str) -> None:
    session = (await start(harness, film)).json()
    await harness.call("GET", session["stream_url"], x_test_user="", range="bytes=0-999")
    await harness.idle()
    with capture_logs() as logs:
        await harness.call("DELETE", f"{SESSIONS}/{session['session_id']}")
        await until(lambda: harness.bus.types() == ["stream.started", "stream.stopped"])
        await until(lambda: any(line["event"] == "stream_stopped" for line in logs))
    found = harness.bus.published[1].read(stream_pb2_events.StreamStopped)
    assert (found.session_id, found.user_id, found.video_id) == (session["session_id"], "viewer", film)
    assert (found.bytes_transferred, found.reason, found.source) == (1000, "stopped", "nas")
    (line,) = [line for line in logs if line["event"] == "stream_stopped"]
    same = {"session_id": found.session_id, "user_id": "viewer", "content_id": film, "bytes": 1000, "reason": "stopped"}
    assert dict(line) | same | {"source": "nas", "cache_hit": False} == dict(line)


@pytest.mark.parametrize("kind", ["start", "implicit", "ticket"])
async def test_a_missing_file_is_said_once_by_an_event(
    harness: ServiceHarness, film: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.open_files.FRESH_SEC", 0)
    session = (await start(harness, film)).json()
    missing = film
    (harness.root / "film.mp4").unlink()
    harness.catalog.sources[film].version = 2
    await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
    for _ in range(3):
        match kind:
            case "start":
                answer = await start(harness, missing)
            case "implicit":
                answer = await harness.get(missing)
            case _:
                answer = await harness.call("GET", session["stream_url"], x_test_user="")
        assert (answer.status, answer.code) == (503, "STREAM_FILE_UNAVAILABLE")
    await until(lambda: "stream.error" in harness.bus.types())
    (error,) = [each for each in harness.bus.published if each.type == "stream.error"]
    found = error.read(stream_pb2_events.StreamError)
    assert (found.video_id, found.error_code) == (film, "STREAM_FILE_UNAVAILABLE")
    assert len(await sessions_of(harness)) == 1, "what failed holds no slot"


async def test_player_reports_become_metrics(harness: ServiceHarness, film: str) -> None:
    path = f"{SESSIONS}/{(await start(harness, film)).json()['session_id']}/qoe"
    before = sample("player_startup_seconds_count"), sample("player_stalls_total")
    report = {"startup_ms": 450, "stalls": 2, "stall_ms": 900, "dropped_frames": 3}
    for body in (report, report | {"startup_ms": None, "stalls": 3}, {}):
        assert (await harness.call("POST", path, body)).status == 204
    assert sample("player_startup_seconds_count") - before[0] == 1
    assert sample("player_stalls_total") - before[1] == 3
    for wrong in ({"startup_ms": -1}, {"stalls": 10**9}, {"stall_ms": "x"}, {"dropped_frames": 1.5}, {"x": 1}):
        assert (await harness.call("POST", path, report | wrong)).code == "VALIDATION_FAILED"
    metrics = (await harness.call("GET", "/metrics", x_test_user="")).body.decode()
    for name in ("player_stall_ratio_bucket", "stream_active_count", "stream_avg_duration", "stream_bandwidth_mbps"):
        assert name in metrics


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0
