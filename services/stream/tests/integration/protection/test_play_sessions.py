"""Protected films: sessions bring the key for one device, and the pack is served as films are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kit.errors import ApiError
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import event_of
from kit.testing.servers import PostgresServer
from lsv.tests.licence_client import Device
from lsv.tests.second_reader import RefusedError
from marquee.events.v1 import video_pb2
from services.stream.http import StreamAuthenticator
from services.stream.tests.protected import (
    PLAINTEXTS,
    VERSION,
    ProtectedFilm,
    issue_key,
    open_online,
    play,
    protect,
    raw_of,
    running_protected,
    text_of,
)
from services.stream.tests.support import Answer, ServiceHarness, connected, fetch, running, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")
SESSIONS = "/api/play-sessions"


@pytest.fixture
async def harness(store: Path, sockets: Path, database_url: str) -> AsyncIterator[ServiceHarness]:
    async with running_protected(store, sockets, database_url) as harness:
        yield harness


async def start(harness: ServiceHarness, film: ProtectedFilm, device: Device, **more: str) -> Any:
    body = {"video_id": film.video_id, "public_key": text_of(device.point)} | more
    answer = await harness.call("POST", SESSIONS, body)
    assert answer.status == 201, answer.body
    return answer.json()


@pytest.mark.parametrize("algorithm", ["AES-KW", "AES-GCM"])
async def test_device_plays_film_with_key_of_its_session(harness: ServiceHarness, algorithm: str) -> None:
    film, device = await protect(harness), Device()
    session = await start(harness, film, device, wrap_algorithm=algorithm)
    assert (session["protection"], session["scope"]) == ("lsv", "ONLINE_STREAM_ONLY")
    assert session["content_version"] == VERSION
    assert raw_of(session["wrapped_key"])[1] == {"AES-KW": 1, "AES-GCM": 2}[algorithm]
    key = open_online(device, film, session)
    assert session["stream_url"].startswith(f"{film.lsv}?ticket=")
    answer, _ = await fetch(harness, session["stream_url"], x_test_user="")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert "no-store" in answer.headers["cache-control"]
    assert play(film, key, answer.body) == PLAINTEXTS
    info = (await harness.call("GET", f"{stream_path(film.video_id)}/info?ticket={session['ticket']}")).json()
    assert (info["protection"], info["stream_url"], info["file_size"]) == ("lsv", film.lsv, len(film.pack))


async def test_key_of_session_opens_with_nothing_else(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    session, other = await start(harness, film, device), await start(harness, film, device)
    for changed in (
        lambda: open_online(Device(), film, session),
        lambda: open_online(device, film, session, other["session_id"]),
        lambda: open_online(device, film, session | {"server_public_key": other["server_public_key"]}),
        lambda: device.unwrap_offline(
            raw_of(session["wrapped_key"]),
            raw_of(session["server_public_key"]),
            video_id=UUID(film.video_id).bytes,
            device_id=UUID(session["session_id"]).bytes,
            expires_at=0,
        ),
    ):
        with pytest.raises(RefusedError):
            changed()


async def test_plain_route_refuses_protected_film_from_every_cache(harness: ServiceHarness) -> None:
    film = await protect(harness)
    for path in (stream_path(film.video_id), f"{stream_path(film.video_id)}?start=0"):
        for method in ("GET", "HEAD", "GET"):
            # The pack is open, and its session known: what is cached must not be sent, either.
            assert (await fetch(harness, film.lsv))[0].body == film.pack
            answer, _ = await fetch(harness, path, method)
            assert answer.status == 403
            if method == "GET":
                assert answer.code == "CONTENT_PROTECTED"


async def test_film_that_becomes_protected_is_refused_where_it_played(harness: ServiceHarness) -> None:
    plain = harness.store("film.mp4", b"plain" * 100)
    for _ in range(3):
        assert (await fetch(harness, stream_path(plain)))[0].status == 200
    pack = await protect(harness)
    harness.catalog.sources[plain] = harness.catalog.sources[pack.video_id]
    harness.catalog.sources[plain].video_id = plain
    await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=plain), subject=plain))
    for _ in range(2):
        answer, _ = await fetch(harness, stream_path(plain))
        assert (answer.status, answer.code) == (403, "CONTENT_PROTECTED")


async def test_pack_route_knows_no_plain_film(harness: ServiceHarness) -> None:
    plain = harness.store("film.mp4", b"plain")
    answer, _ = await fetch(harness, f"/api/videos/{plain}/lsv")
    assert (answer.status, answer.code) == (404, "CONTENT_NOT_FOUND")
    session = (await harness.call("POST", SESSIONS, {"video_id": plain})).json()
    assert not {"protection", "scope", "wrapped_key", "watermark"} & session.keys()
    refused = await harness.call("POST", f"{SESSIONS}/{session['session_id']}/key", {"public_key": "x"})
    assert (refused.status, refused.code) == (404, "CONTENT_NOT_FOUND")


async def test_ticket_of_other_pack_opens_nothing_and_heartbeat_brings_that_of_now(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    session = await start(harness, film, device)
    newer = await protect(harness)
    harness.catalog.sources[film.video_id] = harness.catalog.sources[newer.video_id]
    harness.catalog.sources[film.video_id].video_id = film.video_id
    event = event_of("video.updated", video_pb2.VideoUpdated(video_id=film.video_id), subject=film.video_id)
    await harness.bus.deliver(event)
    refused, _ = await fetch(harness, session["stream_url"], x_test_user="")
    assert (refused.status, refused.code) == (401, "AUTH_INVALID_TOKEN")
    renewed = (await harness.call("POST", f"{SESSIONS}/{session['session_id']}/heartbeat")).json()
    answer, _ = await fetch(harness, renewed["stream_url"], x_test_user="")
    assert answer.body == newer.pack


async def refused_field(answer: Answer) -> str:
    assert (answer.status, answer.code) == (422, "VALIDATION_FAILED"), answer.body
    return str(answer.json()["error"]["details"]["fields"][0]["field"])


@pytest.mark.parametrize(
    "public_key",
    [None, "", "AAAA", text_of(b"\x04" + b"\x00" * 64), text_of(b"\x02" + b"\x01" * 64), text_of(Device().point) + "="],
    ids=["missing", "empty", "short", "off the curve", "another form", "padded"],
)
async def test_bad_public_key_is_refused_before_slot_is_taken(harness: ServiceHarness, public_key: str | None) -> None:
    film = await protect(harness)
    body = {"video_id": film.video_id} | ({} if public_key is None else {"public_key": public_key})
    assert await refused_field(await harness.call("POST", SESSIONS, body)) == "public_key"
    assert (await harness.call("GET", SESSIONS)).json()["total"] == 0


async def test_second_spelling_of_public_key_is_refused(harness: ServiceHarness) -> None:
    film, text = await protect(harness), text_of(Device().point)
    # 65 bytes are 86 2/3 characters: the last one has four spellings.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
    assert raw_of(other) == raw_of(text)
    answer = await harness.call("POST", SESSIONS, {"video_id": film.video_id, "public_key": other})
    assert await refused_field(answer) == "public_key"


async def test_session_that_waited_asks_for_its_key(store: Path, sockets: Path, database_url: str) -> None:
    async with running_protected(store, sockets, database_url, max_streams=1) as harness:
        film, device = await protect(harness), Device()
        first = await start(harness, film, device)
        body = {"video_id": film.video_id, "public_key": text_of(device.point)}
        waiting = (await harness.call("POST", SESSIONS, body, x_test_user="other")).json()
        assert waiting["status"] == "queued"
        assert "wrapped_key" not in waiting
        path = f"{SESSIONS}/{waiting['session_id']}/key"
        refused = await harness.call("POST", path, {"public_key": body["public_key"]}, x_test_user="other")
        assert (refused.status, refused.json()["error"]["details"]) == (404, {"reason": "queued"})
        await harness.call("DELETE", f"{SESSIONS}/{first['session_id']}")
        session = (await harness.call("GET", path.removesuffix("/key"), x_test_user="other")).json()
        assert (session["status"], session["protection"]) == ("active", "lsv")
        key = (await harness.call("POST", path, {"public_key": body["public_key"]}, x_test_user="other")).json()
        assert (key["scope"], key["content_version"]) == ("ONLINE_STREAM_ONLY", VERSION)
        opened = open_online(device, film, key, waiting["session_id"])
        answer, _ = await fetch(harness, session["stream_url"], x_test_user="")
        assert play(film, opened, answer.body) == PLAINTEXTS
        stolen = await harness.call("POST", path, {"public_key": body["public_key"]}, x_test_user="third")
        assert (stolen.status, stolen.code) == (404, "STREAM_SESSION_NOT_FOUND")


async def test_ended_session_has_no_key(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    session = await start(harness, film, device)
    await harness.call("DELETE", f"{SESSIONS}/{session['session_id']}")
    path = f"{SESSIONS}/{session['session_id']}/key"
    answer = await harness.call("POST", path, {"public_key": text_of(device.point)})
    assert (answer.status, answer.code) == (404, "STREAM_SESSION_NOT_FOUND")


async def test_watermark_names_viewer_and_is_weaker_on_known_device(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    first = (await start(harness, film, device))["watermark"]
    again = (await start(harness, film, device))["watermark"]
    assert "Viewer" in first["text"]
    assert first["opacity"] > again["opacity"]
    assert first["interval_sec"] < again["interval_sec"]


async def test_without_database_only_protected_films_are_unavailable(store: Path, sockets: Path) -> None:
    async with running(store, sockets) as harness:
        plain = harness.store("film.mp4", b"plain")
        assert (await harness.get(plain)).status == 200
        protected = harness.store("film.lsv", b"pack", asset_kind="lsv", asset_id=new_id())
        body = {"video_id": protected, "public_key": text_of(Device().point)}
        answer = await harness.call("POST", SESSIONS, body)
        assert (answer.status, answer.json()["error"]["details"]) == (503, {"dependency": "database"})
        with pytest.raises(ApiError, match="SERVICE_UNAVAILABLE"):
            await issue_key(harness, new_id(), new_id())


async def test_film_without_key_is_unavailable(harness: ServiceHarness) -> None:
    film = harness.store("film.lsv", b"pack", asset_kind="lsv", asset_id=new_id())
    answer = await harness.call("POST", SESSIONS, {"video_id": film, "public_key": text_of(Device().point)})
    assert (answer.status, answer.json()["error"]["details"]) == (503, {"dependency": "content_key"})


class TestSqlite:
    """A file."""

    async def test_packers_that_ask_at_once_get_one_key(self, harness: ServiceHarness) -> None:
        video_id, asset_id = new_id(), new_id()
        keys = await asyncio.gather(*(issue_key(harness, video_id, asset_id) for _ in range(20)))
        assert len({(key.id, key.secret) for key in keys}) == 1
        other = await issue_key(harness, video_id, new_id())
        assert other.secret != keys[0].secret
        with pytest.raises(ApiError, match="VALIDATION_FAILED"):
            await issue_key(harness, new_id(), asset_id)
        with pytest.raises(ApiError, match="VALIDATION_FAILED"):
            await issue_key(harness, "film", asset_id)

    async def test_two_replicas_play_the_same_film(
        self, harness: ServiceHarness, store: Path, tmp_path: Path, database_url: str
    ) -> None:
        film, device = await protect(harness), Device()
        sockets = tmp_path / "s"
        sockets.mkdir()
        async with running_protected(store, sockets, database_url) as other:
            other.catalog.sources.update(harness.catalog.sources)
            keys = {open_online(device, film, await start(replica, film, device)) for replica in (harness, other)}
        assert len(keys) == 1


class TestPostgres(TestSqlite):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url


async def test_chunks_are_answered_from_memory(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    session = await start(harness, film, device)
    for _ in range(2):
        for asked in ({}, {"range": "bytes=10-99"}, {"range": "bytes=100-"}):
            answers = [await fetch(harness, session["stream_url"], x_test_user="", **asked) for _ in range(2)]
            span = {"": slice(None), "bytes=10-99": slice(10, 100), "bytes=100-": slice(100, None)}
            assert {answer.body for answer, _ in answers} == {film.pack[span[asked.get("range", "")]]}
            assert answers[-1][1]
            assert answers[-1][0].headers["cache-control"] == "no-store, no-transform"
            assert answers[-1][0].headers["content-type"] == "application/octet-stream"
    head, is_short = await fetch(harness, session["stream_url"], "HEAD", x_test_user="")
    assert (head.headers["content-length"], is_short) == (str(len(film.pack)), True)
    async with connected(harness.port) as line:
        for first in range(0, 60, 3):
            line.send("GET", session["stream_url"], x_test_user="", range=f"bytes={first}-{first + 40}")
            answer = await line.answer()
            assert answer.body == film.pack[first : first + 41]
    # What changes is seen at once, from memory too.
    await harness.call("DELETE", f"{SESSIONS}/{session['session_id']}")
    answer, _ = await fetch(harness, session["stream_url"], x_test_user="")
    assert (answer.status, answer.code) == (404, "STREAM_SESSION_NOT_FOUND")


async def test_ticket_that_names_no_pack_opens_none(harness: ServiceHarness) -> None:
    film, device = await protect(harness), Device()
    session = await start(harness, film, device)
    authenticator = harness.service.app.state.authenticate
    assert isinstance(authenticator, StreamAuthenticator)
    tickets = authenticator.tickets
    plain = tickets.issue(replace(tickets.verify(session["ticket"]), asset_id=""))
    for _ in range(3):
        assert (await fetch(harness, session["stream_url"], x_test_user=""))[0].status == 200
        answer, _ = await fetch(harness, f"{film.lsv}?ticket={plain}", x_test_user="")
        assert (answer.status, answer.code) == (401, "AUTH_INVALID_TOKEN")
