"""`marquee upload` against a server of tus in memory that cuts lines, restarts and refuses."""

from __future__ import annotations

import argparse
import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.marquee import tus_client
from apps.marquee.__main__ import main
from apps.marquee.tus_client import StoppedError, Transfer, TusClient, UploadError
from apps.marquee.upload_options import upload_options
from apps.marquee.upload_state import Remembered, UploadState
from apps.marquee.uploading import Outcome, Uploads, find_films
from kit.settings import SettingsError

FILM = bytes(range(256)) * 4000


class Server:
    """Speaks as much tus as the client needs. What `trouble` returns or raises comes instead of an answer."""

    def __init__(self) -> None:
        self.uploads: dict[str, bytearray] = {}
        self.lengths: dict[str, int] = {}
        self.metadata: list[dict[str, str]] = []
        self.videos: set[str] = set()
        self.requests: list[str] = []
        self.trouble: Callable[[httpx.Request, int], httpx.Response | None] = lambda _request, _number: None
        self._lock = threading.Lock()

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://marquee")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(request.method)
            number = self.requests.count(request.method)
            body = request.read() if request.method == "PATCH" else b""
            path = request.url.path
            if (trouble := self.trouble(request, number)) is not None:
                return trouble
            if path.startswith("/api/videos/"):
                return httpx.Response(200 if path.rpartition("/")[2] in self.videos else 404, json={"status": "ready"})
            if request.method == "POST":
                pairs = (pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
                self.metadata.append({key: base64.b64decode(value).decode() for key, value in pairs})
                path = f"/api/uploads/{len(self.uploads)}"
                self.uploads[path] = bytearray()
                self.lengths[path] = int(request.headers["Upload-Length"])
                return httpx.Response(201, headers={"Location": path})
            if path not in self.uploads:
                return httpx.Response(404)
            if request.method == "PATCH":
                assert int(request.headers["Upload-Offset"]) == len(self.uploads[path])
                self.uploads[path] += body
            return httpx.Response(204 if body else 200, headers=self._state(path))

    def _state(self, path: str) -> dict[str, str]:
        offset, length = len(self.uploads[path]), self.lengths[path]
        headers = {"Upload-Offset": str(offset), "Upload-Length": str(length)}
        if offset == length:
            video_id = f"video-{path.rpartition('/')[2]}"
            self.videos.add(video_id)
            headers["Marquee-Video-Id"] = video_id
        return headers


def refusal(status: int, code: str = "ANY", **details: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": f"{code}!", "details": details}})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(tus_client, "FIRST_PAUSE_SEC", 0.0)
    return Server()


@pytest.fixture
def state(tmp_path: Path) -> UploadState:
    return UploadState("http://marquee/", "ann", tmp_path / "state")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "밤 기차.mp4"
    path.write_bytes(FILM)
    return path


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    upload_options(parser)
    return parser.parse_args(["unused", *given])


def upload(server: Server, state: UploadState, *films: Path, given: tuple[str, ...] = ()) -> list[Outcome]:
    return Uploads(server.client(), state, options(*given)).run(films)


def test_a_film_arrives_with_its_labels(server: Server, state: UploadState, film: Path) -> None:
    (outcome,) = upload(server, state, film, given=("--title", "Night train", "--tags", "a,b"))
    assert (outcome.status, outcome.video_id, outcome.bytes) == ("uploaded", "video-0", len(FILM))
    assert bytes(server.uploads["/api/uploads/0"]) == FILM
    assert server.metadata == [
        {"filename": film.name, "filetype": "video/mp4", "title": "Night train", "tags": "a,b"},
    ]


def test_a_cut_line_is_taken_up_where_it_ended(server: Server, state: UploadState, film: Path) -> None:
    def cut(request: httpx.Request, number: int) -> httpx.Response | None:
        if request.method == "PATCH" and number <= 3:
            server.uploads[request.url.path] += request.content[:100_000]
            raise httpx.WriteError("cut")
        return None

    server.trouble = cut
    (outcome,) = upload(server, state, film)
    assert outcome.status == "uploaded"
    assert bytes(server.uploads["/api/uploads/0"]) == FILM
    assert server.requests.count("POST") == 1


@pytest.mark.parametrize("status", [409, 423, 429, 500, 503])
def test_what_passes_is_waited_for(server: Server, state: UploadState, film: Path, status: int) -> None:
    server.trouble = lambda request, number: refusal(status) if request.method == "HEAD" and number < 4 else None
    (outcome,) = upload(server, state, film)
    assert outcome.status == "uploaded"
    assert server.requests.count("POST") == 1


@pytest.mark.parametrize("status", [401, 403, 413, 422, 507])
def test_what_does_not_pass_fails_at_once(server: Server, state: UploadState, film: Path, status: int) -> None:
    server.trouble = lambda _request, _number: refusal(status, "NO")
    (outcome,) = upload(server, state, film)
    assert (outcome.status, outcome.error, outcome.code) == ("failed", "NO!", "NO")
    assert len(server.requests) == 1


def test_a_refused_duplicate_names_the_other_video(server: Server, state: UploadState, film: Path) -> None:
    def refuse(request: httpx.Request, _number: int) -> httpx.Response | None:
        return refusal(409, "UPLOAD_CONFLICT", video_id="other") if request.method == "PATCH" else None

    server.trouble = refuse
    (outcome,) = upload(server, state, film)
    assert (outcome.status, outcome.code, outcome.duplicate_of) == ("failed", "UPLOAD_CONFLICT", "other")
    assert state.load(state.key(film)) == Remembered()


def test_a_later_run_goes_on(server: Server, state: UploadState, film: Path) -> None:
    stop = threading.Event()

    def progress(sent: int) -> None:
        if sent >= 500_000:
            stop.set()

    key = state.key(film)

    def remember(url: str | None) -> None:
        state.save(key, Remembered(url=url))

    with pytest.raises(StoppedError):
        TusClient(server.client(), stop).send(Transfer(film, {"filename": "x"}, None, remember, progress))
    # What was on its way has arrived.
    server.uploads["/api/uploads/0"] += FILM[:400_000]
    (planned,) = upload(server, state, film, given=("--dry-run",))
    assert (planned.status, planned.resumed) == ("planned", True)
    film = film.rename(film.with_name("renamed.mp4"))
    (outcome,) = upload(server, state, film)
    assert (outcome.status, outcome.resumed) == ("uploaded", True)
    assert bytes(server.uploads["/api/uploads/0"]) == FILM
    assert server.requests.count("POST") == 1


def test_an_upload_that_the_server_has_forgotten_begins_anew(server: Server, state: UploadState, film: Path) -> None:
    state.save(state.key(film), Remembered(url="/api/uploads/gone"))
    (outcome,) = upload(server, state, film)
    assert (outcome.status, outcome.video_id) == ("uploaded", "video-0")


def test_what_was_uploaded_is_skipped_while_its_video_exists(server: Server, state: UploadState, film: Path) -> None:
    upload(server, state, film)
    (second,) = upload(server, state, film)
    assert (second.status, second.video_id) == ("skipped", "video-0")
    (third,) = upload(server, state, film, given=("--again",))
    assert (third.status, third.video_id) == ("uploaded", "video-1")
    server.videos.clear()
    assert upload(server, state, film)[0].status == "uploaded"


def test_patience_ends(server: Server, film: Path) -> None:
    server.trouble = lambda _request, _number: refusal(503, "SERVICE_UNAVAILABLE")
    transfer = Transfer(film, {"filename": "x"}, None, lambda _url: None, lambda _sent: None)
    with pytest.raises(UploadError, match="run again to go on"):
        TusClient(server.client(), threading.Event(), patience_sec=0).send(transfer)


def test_many_films_at_a_time_each_once(
    server: Server, state: UploadState, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        (tmp_path / "films" / str(number % 3)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / str(number % 3) / f"{number}.mp4").write_bytes(b"%d" % number * 1000)
    (tmp_path / "films" / "notes.txt").write_text("no film")
    films = list(find_films(iter([tmp_path / "films", tmp_path / "films" / "0"])))
    outcomes = upload(server, state, *films, given=("--jobs", "4", "--json"))
    assert sorted(bytes(each) for each in server.uploads.values()) == sorted(b"%d" % n * 1000 for n in range(20))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["video_id"] for line in lines} == {each.video_id for each in outcomes}
    assert len(lines) == 20


def test_a_file_that_grew_meanwhile_is_not_mixed(server: Server, film: Path) -> None:
    server.uploads["/api/uploads/0"] = bytearray(FILM[:10])
    server.lengths["/api/uploads/0"] = 5000
    transfer = Transfer(film, {"filename": "x"}, "/api/uploads/0", lambda _url: None, lambda _sent: None)
    with pytest.raises(UploadError, match="size has changed"):
        TusClient(server.client(), threading.Event()).send(transfer)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        list(find_films(iter([tmp_path / "absent"])))


def test_damaged_state_is_no_state(state: UploadState, tmp_path: Path) -> None:
    state.save("key", Remembered(url="/api/uploads/1"))
    (tmp_path / "state" / "key.json").write_text("{")
    assert state.load("key") == Remembered()


def test_jobs_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["upload", "--jobs", "99", "x.mp4"])
    assert "must be 1 to 16" in capsys.readouterr().err
