"""What single requests are answered with, over real sockets."""

from __future__ import annotations

import email.parser
import email.policy
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kit.errors import ApiError, ErrorCode
from services.stream.tests.support import ServiceHarness, connected, running, stream_path, until

DATA = os.urandom(600_000)


@pytest.fixture(params=[True, False], ids=["fast path", "without it"])
async def harness(request: pytest.FixtureRequest, store: Path, sockets: Path) -> AsyncIterator[ServiceHarness]:
    """The running service, with the short way for requests that need no waiting and without."""
    async with running(store, sockets, fast_path=request.param) as harness:
        yield harness


@pytest.fixture
def film(harness: ServiceHarness) -> str:
    return harness.store("film.mp4", DATA)


async def test_the_whole_file(harness: ServiceHarness, film: str) -> None:
    answer = await harness.get(film)
    assert answer.status == 200
    assert answer.body == DATA
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["cache-control"] == "private, no-cache, no-transform"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["last-modified"].endswith(" GMT")
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-1", 0, 1),
        ("bytes=599999-", 599_999, 599_999),
        ("bytes=-700", 599_300, 599_999),
        ("bytes=262143-262144", 262_143, 262_144),
        ("bytes=100-99999999", 100, 599_999),
        ("bytes=5-9, 7-20,21-30", 5, 30),
    ],
)
async def test_one_range(harness: ServiceHarness, film: str, asked: str, first: int, last: int) -> None:
    answer = await harness.get(film, range=asked)
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/600000"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.body == DATA[first : last + 1]


async def test_the_probe_of_safari_gets_two_bytes(harness: ServiceHarness, film: str) -> None:
    answer = await harness.get(film, range="bytes=0-1", accept_encoding="identity")
    assert (answer.status, answer.body) == (206, DATA[:2])


@pytest.mark.parametrize("asked", ["bytes=1_0-20", "bytes=+1-2", "seconds=0-1", "bytes=5-4", "bytes 0-1", "bytes=a-"])
async def test_what_is_no_range_is_ignored(harness: ServiceHarness, film: str, asked: str) -> None:
    answer = await harness.get(film, range=asked)
    assert (answer.status, answer.length) == (200, len(DATA))


async def test_a_header_given_twice_is_ignored(harness: ServiceHarness, film: str) -> None:
    async with connected(harness.port) as line:
        line.send("GET", stream_path(film), range="bytes=0-1\r\nrange: bytes=2-3")
        assert (await line.answer()).status == 200


async def test_a_range_beyond_the_end(harness: ServiceHarness, film: str) -> None:
    for asked in ("bytes=600000-", "bytes=-0", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 600, 2))):
        answer = await harness.get(film, range=asked, accept_language="ko")
        assert answer.status == 416
        assert answer.headers["content-range"] == "bytes */600000"
        error = json.loads(answer.body)["error"]
        assert error["code"] == "STREAM_RANGE_INVALID"
        assert "범위" in error["message"]
    await harness.idle()


async def test_range_request_names_the_catalog_that_does_not_answer(harness: ServiceHarness, film: str) -> None:
    class Away(dict[str, Any]):
        def __contains__(self, _: object) -> bool:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)

    harness.catalog.sources = Away()
    with capture_logs() as logs:
        answer = await harness.get(film, range="bytes=0-1")
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
    assert answer.json()["error"]["details"] == {"dependency": "catalog"}
    (line,) = [entry for entry in logs if entry["event"] == "grpc_call_failed"]
    assert line["method"] == "/marquee.catalog.v1.CatalogService/GetSource"


async def test_several_ranges(harness: ServiceHarness, film: str) -> None:
    answer = await harness.get(film, range="bytes=500000-599999,0-0,9999999-,-1,100-300099")
    assert answer.status == 206
    assert "content-range" not in answer.headers
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.body
    )
    parts = [
        (part["content-type"], part["content-range"], part.get_payload(decode=True)) for part in message.iter_parts()
    ]
    assert message.get_content_type() == "multipart/byteranges"
    assert parts == [
        ("video/mp4", "bytes 500000-599999/600000", DATA[500_000:]),
        ("video/mp4", "bytes 0-0/600000", DATA[:1]),
        ("video/mp4", "bytes 100-300099/600000", DATA[100:300_100]),
    ]


async def test_head_ignores_ranges(harness: ServiceHarness, film: str) -> None:
    async with connected(harness.port) as line:
        for asked in ("", "bytes=0-1", "bytes=99999999-"):
            await line.ask("GET", stream_path(film))
            head = await line.ask("HEAD", stream_path(film), range=asked)
            assert head.status == 200
            assert head.headers["content-length"] == "600000"
        whole = await line.ask("GET", stream_path(film))
        unique = {"x-request-id", "date"}
        assert {k: v for k, v in head.headers.items() if k not in unique} == {
            k: v for k, v in whole.headers.items() if k not in unique
        }


async def test_an_empty_file(harness: ServiceHarness) -> None:
    empty = harness.store("empty.mp4", b"")
    for asked in ("", "bytes=-1"):
        answer = await harness.get(empty, range=asked)
        assert (answer.status, answer.headers["content-length"]) == (200, "0")
    assert (await harness.get(empty, range="bytes=0-")).status == 416


async def test_a_current_copy_is_not_sent_again(harness: ServiceHarness, film: str) -> None:
    first = await harness.get(film, range="bytes=0-1")
    etag, date = first.headers["etag"], first.headers["last-modified"]
    async with connected(harness.port) as line:
        for headers in ({"if_none_match": etag}, {"if_modified_since": date}, {"if_none_match": f'"x", W/{etag}'}):
            line.send("GET", stream_path(film), range="bytes=0-1", **headers)
            answer = await line.answer(has_body=False)
            assert answer.status == 304
            assert answer.headers["etag"] == etag
            assert answer.headers["cache-control"] == first.headers["cache-control"]
        answer = await line.ask("GET", stream_path(film), if_none_match='"other"')
        assert answer.status == 200


async def test_a_failed_precondition(harness: ServiceHarness, film: str) -> None:
    for headers in ({"if_match": '"other"'}, {"if_unmodified_since": "Thu, 01 Jan 2015 00:00:00 GMT"}):
        assert (await harness.get(film, range="bytes=0-1", **headers)).status == 412
    await harness.idle()


async def test_resuming_a_file_that_has_changed_begins_anew(
    harness: ServiceHarness, film: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.open_files.STAT_SEC", 0)
    etag = (await harness.get(film, range="bytes=0-1")).headers["etag"]
    resumed = await harness.get(film, range="bytes=500000-", if_range=etag)
    assert (resumed.status, resumed.body) == (206, DATA[500_000:])
    replacement = harness.root / "new"
    replacement.write_bytes(DATA[::-1])
    replacement.replace(harness.root / "film.mp4")
    anew = await harness.get(film, range="bytes=500000-", if_range=etag)
    assert (anew.status, anew.body) == (200, DATA[::-1])
    assert anew.headers["etag"] != etag


async def test_who_may_see_what(harness: ServiceHarness) -> None:
    theirs = harness.store("theirs.mp4", b"secret", corporation_id="acme")
    people = ("", "someone", "someone:member:other", "someone:member:acme", "someone:admin")
    seen = {who: (await harness.get(theirs, x_test_user=who)).status for who in people}
    assert list(seen.values()) == [401, 404, 404, 200, 200]
    async with connected(harness.port) as line:
        info = stream_path(theirs) + "/info"
        assert (await line.ask("GET", info)).status == 404
        assert (await line.ask("GET", info, x_test_user="")).status == 401
        assert (await line.ask("HEAD", stream_path(theirs), x_test_user="")).status == 401
        hidden = await line.ask("GET", stream_path(theirs), if_none_match="*", range="bytes=99-")
        assert hidden.status == 404


async def test_what_can_not_be_served(harness: ServiceHarness) -> None:
    missing = harness.add(harness.root / "missing.mp4")
    processing = harness.store("processing.mp4", DATA)
    harness.catalog.not_ready.add(processing)
    escaping = harness.store("inside.mp4", DATA, reference="../../etc/passwd")
    (harness.root / "folder").mkdir()
    folder = harness.add(harness.root / "folder")
    for video_id, status, code in (
        (missing, 503, "STREAM_FILE_UNAVAILABLE"),
        (folder, 503, "STREAM_FILE_UNAVAILABLE"),
        (escaping, 503, "STREAM_FILE_UNAVAILABLE"),
        (processing, 409, "CONTENT_NOT_READY"),
        ("01890000-0000-7000-8000-000000000000", 404, "CONTENT_NOT_FOUND"),
        (missing.upper(), 404, "CONTENT_NOT_FOUND"),
        ("..%2F..%2Fetc%2Fpasswd", 404, "CONTENT_NOT_FOUND"),
    ):
        answer = await harness.get(video_id)
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, code)
        assert answer.headers["cache-control"] == "no-store"


async def test_info(harness: ServiceHarness, film: str) -> None:
    silent = harness.store("silent.mp4", b"12345", audio_codec="")
    async with connected(harness.port) as line:
        assert json.loads((await line.ask("GET", stream_path(film) + "/info")).body) == {
            "content_id": film,
            "duration": 10.0,
            "file_size": 600_000,
            "mime_type": "video/mp4",
            "codecs": {"video": "h264", "audio": "aac"},
            "resolution": {"width": 320, "height": 180},
            "bitrate": 400_000,
            "source": "nas",
            "stream_url": stream_path(film),
            "protection": None,
            "cache_hit": False,
        }
        assert json.loads((await line.ask("GET", stream_path(silent) + "/info")).body)["codecs"]["audio"] is None


@pytest.mark.parametrize("harness", [True], indirect=True, ids=["fast path"])
async def test_answers_leave_a_line_in_the_log_at_the_level_they_deserve(
    harness: ServiceHarness, film: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "services.stream.delivery.transfers")
    with capture_logs() as logs:
        await harness.get(film, range="bytes=0-99", x_request_id="first")
        await harness.get(film, range="bytes=0-99", x_request_id="again")
        await harness.get(film, range="bytes=700000-")
        await until(lambda: sum(line["event"] == "stream_response" for line in logs) == 3)
    lines = [line for line in logs if line["event"] == "stream_response"]
    assert all(0 <= line.pop("ttfb_ms") < 60_000 for line in lines)
    assert len({line.pop("session_id") for line in lines}) == 1
    same = {"event": "stream_response", "user_id": "viewer", "content_id": film, "outcome": "completed"}
    assert lines == [
        same | {"log_level": "debug", "status": 206, "bytes": 100},
        same | {"log_level": "debug", "status": 206, "bytes": 100, "request_id": "again"},
        same | {"log_level": "info", "status": 416, "bytes": 0, "code": "STREAM_RANGE_INVALID"},
    ]


async def test_a_store_that_is_away_makes_the_service_unready(harness: ServiceHarness, store: Path) -> None:
    async with connected(harness.port) as line:
        assert (await line.ask("GET", "/readyz", x_test_user="")).status == 200
        harness.bus.available = False
        await harness.service.health.run_checks()
        assert (await line.ask("GET", "/readyz")).status == 200, "the broker is not needed to stream"
        store.rename(store.with_name("unmounted"))  # noqa: ASYNC240 - this disk is not slow
        await harness.service.health.run_checks()
        answer = await line.ask("GET", "/readyz")
        assert (answer.status, json.loads(answer.body)["checks"]) == (503, {"media": False, "broker": False})
