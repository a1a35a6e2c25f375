"""Originals in four places, served by the running service to real clients."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kit.ids import new_id
from kit.testing.origin import Origin
from kit.testing.servers import S3Server
from mp4.tests.films import ffmpeg, pictures
from services.stream.tests.integration.storage.conftest import Originals, tell_catalog
from services.stream.tests.support import AUTHORISED, ServiceHarness, connected, run, running, stream_path, url

DATA = os.urandom(3_000_000)


@pytest.fixture
def film(harness: ServiceHarness, originals: Originals) -> str:
    originals.put("film", DATA)
    return tell_catalog(harness, originals.reference("film"))


async def test_whole_by_range_and_head(harness: ServiceHarness, film: str) -> None:
    async with connected(harness.port) as line:
        head = await line.ask("HEAD", stream_path(film))
        whole = await line.ask("GET", stream_path(film))
        assert (head.status, whole.status) == (200, 200)
        assert head.headers["content-length"] == str(len(DATA))
        assert head.headers["accept-ranges"] == "bytes"
        assert whole.body == DATA
        assert whole.headers["etag"] == head.headers["etag"]
        for asked, first, last in (
            ("bytes=0-1", 0, 1),
            ("bytes=-500", len(DATA) - 500, len(DATA) - 1),
            ("bytes=2999999-", 2_999_999, 2_999_999),
            ("bytes=1000000-1999999", 1_000_000, 1_999_999),
        ):
            part = await line.ask("GET", stream_path(film), range=asked)
            assert part.status == 206
            assert part.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
            assert part.body == DATA[first : last + 1]
        beyond = await line.ask("GET", stream_path(film), range="bytes=3000000-")
        assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(DATA)}")


async def test_several_ranges(harness: ServiceHarness, film: str) -> None:
    answer = await harness.get(film, range="bytes=10-19,1000-1009,2000000-2000009")
    assert answer.status == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    for first in (10, 1000, 2_000_000):
        assert DATA[first : first + 10] in answer.body


async def test_conditions(harness: ServiceHarness, film: str) -> None:
    first = await harness.get(film, range="bytes=0-0")
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    assert (await harness.get(film, if_none_match=etag)).status == 304
    assert (await harness.get(film, if_modified_since=modified)).status == 304
    assert (await harness.get(film, if_match='"other"')).status == 412
    assert (await harness.get(film, range="bytes=0-0", if_range=etag)).status == 206
    assert (await harness.get(film, range="bytes=0-0", if_range='"other"')).status == 200


async def test_real_clients_get_the_same_bytes(harness: ServiceHarness, film: str, tmp_path: Path) -> None:
    address = url(harness, film)
    whole = await run("curl", "-sS", "-H", AUTHORISED, address)
    assert hashlib.sha256(whole).digest() == hashlib.sha256(DATA).digest()
    part = tmp_path / "part"
    part.write_bytes(DATA[:1_234_567])
    await run("curl", "-sS", "-H", AUTHORISED, "-C", "-", "-o", part, address)
    assert part.read_bytes() == DATA


async def test_what_is_not_there_is_said_and_others_go_on(
    harness: ServiceHarness, film: str, originals: Originals
) -> None:
    originals.put("gone", DATA)
    gone = tell_catalog(harness, originals.reference("gone"))
    originals.remove("gone")
    with capture_logs() as logs:
        answer = await harness.get(gone)
    assert answer.status == 503
    assert b"STREAM_FILE_UNAVAILABLE" in answer.body
    assert int(answer.headers["retry-after"]) > 0
    errors = [entry for entry in logs if entry["event"] == "stream_file_unavailable"]
    assert [entry["content_id"] for entry in errors] == [gone]
    assert (await harness.get(film)).body == DATA


@pytest.mark.parametrize("start", ["0", "5"])
async def test_the_start_parameter_gives_a_playable_film(
    harness: ServiceHarness, originals: Originals, tmp_path: Path, start: str
) -> None:
    path = tmp_path / "film.mp4"
    await asyncio.to_thread(ffmpeg, *pictures(), "-c:v", "libx264", "-qp", "10", "-g", "25", path)
    originals.put("film.mp4", path.read_bytes())
    film = tell_catalog(harness, originals.reference("film.mp4"))
    served = tmp_path / "served.mp4"
    await run("curl", "-sS", "-H", AUTHORISED, "-o", served, f"{url(harness, film)}?start={start}")
    shown = await run("ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", served)
    # A film on another machine is not cut: it comes whole.
    assert float(shown) == pytest.approx(5 if start == "5" and originals.tier == "nas" else 10, abs=0.2)
    if start == "0":
        content = served.read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")
        assert content != path.read_bytes()


async def test_info_names_the_tier(harness: ServiceHarness, film: str, originals: Originals) -> None:
    info = json.loads((await harness.call("GET", f"{stream_path(film)}/info")).body)
    assert (info["source"], info["cache_hit"]) == (originals.tier, False)
    missing = tell_catalog(harness, originals.reference("missing"))
    info = json.loads((await harness.call("GET", f"{stream_path(missing)}/info")).body)
    assert info["source"] is None


# --- Remote origins only ------------------------------------------------------------------------------


@pytest.fixture
def remote(harness: ServiceHarness, origin: Origin) -> str:
    origin.files["/film"] = DATA
    return tell_catalog(harness, origin.url("/film"))


async def test_only_what_a_viewer_asked_for_is_fetched(harness: ServiceHarness, remote: str, origin: Origin) -> None:
    await harness.get(remote, range="bytes=100-199")
    assert [asked.range for asked in origin.asked] == ["bytes=0-0", "bytes=100-199"]
    await harness.get(remote, range="bytes=200-299")
    assert [asked.range for asked in origin.asked][2:] == ["bytes=200-299"]


async def test_a_change_at_the_origin_is_a_new_file_to_viewers(
    harness: ServiceHarness, remote: str, origin: Origin
) -> None:
    before = await harness.get(remote, range="bytes=0-9")
    origin.files["/film"] = DATA[::-1]
    # Noticed by the first who reads, who may ask again.
    assert (await harness.get(remote, range="bytes=10-19", if_range=before.headers["etag"])).status == 503
    after = await harness.get(remote, range="bytes=10-19", if_range=before.headers["etag"])
    assert after.status == 200
    assert after.body == DATA[::-1]
    assert after.headers["etag"] != before.headers["etag"]


async def test_an_origin_that_goes_away_mid_body_ends_the_connection(
    harness: ServiceHarness, remote: str, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.origins.remote.RETRY_AFTER_SEC", 0)
    origin.breaks_off_after = 100_000
    with pytest.raises(asyncio.IncompleteReadError):
        await harness.get(remote)
    await harness.idle()


async def test_an_origin_that_goes_away_before_the_first_byte_is_a_503(
    harness: ServiceHarness, remote: str, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.origins.remote.RETRY_AFTER_SEC", 0)
    assert (await harness.get(remote, range="bytes=0-9")).status == 206
    origin.status = 500
    answer = await harness.get(remote, range="bytes=0-9")
    assert answer.status == 503
    assert "retry-after" in answer.headers


async def test_a_hanging_origin_delays_no_other_film(harness: ServiceHarness, remote: str, store: Path) -> None:
    local = harness.store("local.mp4", DATA)
    async with Origin({"/film": DATA}, hangs=asyncio.Event()) as hanging:
        stuck = [tell_catalog(harness, hanging.url("/film")) for _ in range(20)]
        waiting = [asyncio.ensure_future(harness.get(video_id)) for video_id in stuck]
        async with asyncio.timeout(60):
            while not hanging.asked:  # noqa: ASYNC110 - nothing tells when it happens
                await asyncio.sleep(0.001)
        assert (await harness.get(local)).body == DATA
        assert (await harness.get(remote)).body == DATA
        assert not all(task.done() for task in waiting)
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {503}


async def test_a_slow_viewer_takes_little_memory_and_who_leaves_costs_nothing(
    harness: ServiceHarness, remote: str, origin: Origin
) -> None:
    size = 64 * 2**20
    origin.files["/large"] = bytes(size)
    large = tell_catalog(harness, origin.url("/large"))
    async with connected(harness.port, receive_buffer=64 * 1024) as line:
        line.send("GET", stream_path(large))
        assert (await line.head()).status == 200
        before = -1
        async with asyncio.timeout(60):
            while origin.sent != before:
                before = origin.sent
                await asyncio.sleep(0.2)
        # What the buffers of the sockets on the way hold.
        assert origin.sent < 24 * 2**20
    async with asyncio.timeout(60):
        while origin.open_connections > 1:  # noqa: ASYNC110 - nothing tells when it happens
            await asyncio.sleep(0.005)
    assert origin.sent < 24 * 2**20


async def test_seeks_that_were_given_up_stop_costing(harness: ServiceHarness, remote: str, origin: Origin) -> None:
    size = 64 * 2**20
    origin.files["/large"] = bytes(size)
    # One that costs nothing to make.
    origin.etag = '"large"'
    large = tell_catalog(harness, origin.url("/large"))
    assert (await harness.get(large, range="bytes=0-0")).status == 206

    async def seek(originals: int) -> None:
        async with connected(harness.port, receive_buffer=64 * 1024) as line:
            line.send("GET", stream_path(large), range=f"bytes={originals}-")
            assert (await line.head()).status == 206

    await asyncio.gather(*(seek(originals * 2**20) for originals in range(30)))
    await harness.idle()
    async with asyncio.timeout(60):
        while origin.open_connections > 1:  # noqa: ASYNC110 - nothing tells when it happens
            await asyncio.sleep(0.005)
    # A few buffers each, of the gigabyte that was asked for.
    assert origin.sent < 30 * 8 * 2**20
    assert (await harness.get(remote)).body == DATA


async def test_private_origins_are_refused_unless_allowed(store: Path, sockets: Path, origin: Origin) -> None:
    origin.files["/film"] = DATA
    async with running(store, sockets, remote_ports="*") as harness:
        for reference in (origin.url("/film"), f"http://localhost:{origin.port}/film"):
            answer = await harness.get(tell_catalog(harness, reference))
            assert answer.status == 503
            assert b"127.0.0.1" not in answer.body
    assert not origin.connections


@pytest.mark.parametrize("reference", ["http://me:hidden@films.example/", "import:../secret", "s3://x", "../secret"])
async def test_references_that_no_service_makes(harness: ServiceHarness, reference: str) -> None:
    with capture_logs() as logs:
        assert (await harness.get(tell_catalog(harness, reference))).status == 503
    assert "hidden" not in str([entry for entry in logs if entry["event"] == "stream_file_unavailable"])


async def test_links_out_of_the_folder_of_imports_are_not_followed(
    harness: ServiceHarness, settings: dict[str, Any], tmp_path: Path
) -> None:
    folder: Path = settings["import_dir"]
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "inside").mkdir()
    (folder / "inside" / "film").write_bytes(DATA)
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "there").symlink_to(folder / "inside")
    os.mkfifo(folder / "pipe")
    assert (await harness.get(tell_catalog(harness, "import:inside/film"))).body == DATA
    for path in ("file", "folder/secret", "there/film", "pipe", "inside"):
        assert (await harness.get(tell_catalog(harness, f"import:{path}"))).status == 503


async def test_a_bucket_as_media_store(
    store: Path, sockets: Path, settings: dict[str, Any], s3_server: S3Server, bucket: str
) -> None:
    source = s3_server.buckets / bucket / "marquee" / "videos" / "1" / "source"
    source.parent.mkdir(parents=True)
    source.write_bytes(DATA)
    async with running(store, sockets, **settings, media_url=f"s3://{bucket}/marquee") as harness:
        assert (await harness.get(tell_catalog(harness, "videos/1/source"))).body == DATA
        assert (await harness.get(tell_catalog(harness, "videos/2/source"))).status == 503


async def test_viewers_may_be_sent_to_the_bucket_themselves(
    store: Path, sockets: Path, settings: dict[str, Any], s3_server: S3Server, bucket: str, origin: Origin
) -> None:
    (s3_server.buckets / bucket / "film").write_bytes(DATA)
    origin.files["/film"] = DATA
    async with running(store, sockets, **settings, s3_redirect_sec=60) as harness:
        film = tell_catalog(harness, f"s3://{bucket}/film", corporation_id=new_id())
        assert (await harness.get(film)).status == 404
        film = tell_catalog(harness, f"s3://{bucket}/film")
        for _ in range(2):
            answer = await harness.get(film)
            assert (answer.status, answer.body) == (307, b"")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["location"].startswith(f"{s3_server.url}/{bucket}/film?")
        assert (await harness.get(film, x_test_user="")).status == 401
        assert await run("curl", "-sSL", "-H", AUTHORISED, url(harness, film)) == DATA
        # What is signed is a GET, and what lies elsewhere is relayed.
        assert (await harness.call("HEAD", stream_path(film))).headers["content-length"] == str(len(DATA))
        assert (await harness.get(tell_catalog(harness, origin.url("/film")))).body == DATA
