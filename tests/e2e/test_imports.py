"""Films that lie elsewhere, from their registration to the last byte in a viewer's player."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.testing.origin import Origin
from kit.testing.servers import S3Server
from tests.e2e.client import Client
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD
from tests.stacks.embedded import EmbeddedStack

PLACES = ("address", "object", "path")


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """A web server of another operator."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    origin = Origin()
    asyncio.run_coroutine_threadsafe(origin.__aenter__(), loop).result(10)
    yield origin
    asyncio.run_coroutine_threadsafe(origin.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="module")
def nas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films that the platform may serve from."""
    return tmp_path_factory.mktemp("nas")


@pytest.fixture(scope="module")
def marquee(
    tmp_path_factory: pytest.TempPathFactory, origin: Origin, s3_server: S3Server, nas: Path
) -> Iterator[EmbeddedStack]:
    """A Marquee that is configured for all three."""
    settings = {
        "MARQUEE_IMPORT_DIR": str(nas),
        "MARQUEE_REMOTE_ALLOW": "127.0.0.1",
        "MARQUEE_REMOTE_PORTS": f"443,{origin.port}",
        "MARQUEE_S3_ENDPOINT_URL": s3_server.url,
        "MARQUEE_S3_ACCESS_KEY_ID": s3_server.access_key_id,
        "MARQUEE_S3_SECRET_ACCESS_KEY": s3_server.secret_access_key,
    }
    with EmbeddedStack(tmp_path_factory.mktemp("imports"), settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def operator(marquee: EmbeddedStack) -> Iterator[Client]:
    client = Client(marquee.base_url)
    yield client
    client.close()


@pytest.mark.parametrize("place", PLACES)
def test_film_plays_from_its_origin(
    place: str,
    marquee: EmbeddedStack,
    operator: Client,
    slow_start_film: Path,
    origin: Origin,
    s3_server: S3Server,
    nas: Path,
    tmp_path: Path,
) -> None:
    content = slow_start_film.read_bytes()
    match place:
        case "address":
            origin.files["/night.mp4"] = content
            location = origin.url("/night.mp4")
        case "object":
            (s3_server.buckets / "cinema").mkdir()
            (s3_server.buckets / "cinema" / "night.mp4").write_bytes(content)
            location = "s3://cinema/night.mp4"
        case _:
            shutil.copy(slow_start_film, nas / "night train.mp4")
            location = "night train.mp4"
    answer = operator.http.post("/api/imports", json={"location": location, "title": f"Night by {place}"})
    assert answer.status_code == 201, answer.text
    video = operator.await_artwork(answer.json()["id"])
    assert video["duration_sec"] == pytest.approx(12, abs=0.2)
    assert operator.http.get(video["thumbnail_url"]).headers["content-type"] == "image/jpeg"
    assert not (marquee.media / "videos" / video["id"] / "source").exists()

    info = operator.http.get(f"/api/videos/{video['id']}/stream/info").json()
    assert info["source"] == ("nas" if place == "path" else "remote")
    # Its index comes last, wherever it lies: players ask for it first.
    assert info["stream_url"].endswith("?start=0")
    stream = f"{marquee.base_url}/api/videos/{video['id']}/stream"

    def curl(*arguments: str) -> bytes:
        command = ["curl", "-sSf", "-u", f"{ADMIN_LOGIN}:{ADMIN_PASSWORD}", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    whole = curl(stream)
    assert hashlib.sha256(whole).hexdigest() == hashlib.sha256(content).hexdigest()
    middle = len(content) // 2
    assert curl("-r", f"{middle}-{middle + 9999}", stream) == content[middle : middle + 10_000]
    assert curl("-r", "-1000", stream) == content[-1000:]
    part = tmp_path / "part.mp4"
    part.write_bytes(content[:1000])
    curl("-C", "-", "-o", str(part), stream)
    assert part.read_bytes() == content
    sooner = tmp_path / "sooner.mp4"
    curl("-o", str(sooner), f"{stream}?start=0")
    shown = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(sooner)]
    assert float(subprocess.run(shown, check=True, capture_output=True).stdout) == pytest.approx(12, abs=0.2)
    assert sooner.read_bytes().index(b"moov") < 1000


def test_operators_import_from_the_command_line(
    marquee: EmbeddedStack, operator: Client, film: Path, origin: Origin, nas: Path
) -> None:
    (nas / "noir").mkdir()
    shutil.copy(film, nas / "noir" / "하나.mp4")
    shutil.copy(film, nas / "noir" / "two.MKV")
    (nas / "noir" / "readme.txt").write_text("no film")
    origin.files["/three.mp4"] = film.read_bytes()

    def run(*locations: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "apps.marquee", "import", *locations, "--url", marquee.base_url],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"MARQUEE_ADMIN_PASSWORD": ADMIN_PASSWORD, "MARQUEE_IMPORT_DIR": str(nas)},
        )

    three = origin.url("/three.mp4")
    first = run(str(nas / "noir"), "-", stdin=f"{three}\n\n")
    assert first.returncode == 0, first.stderr
    lines = ["noir/two.MKV: imported", "noir/하나.mp4: imported", "added 2", f"{three}: imported"]
    assert first.stdout.splitlines() == lines
    listed = operator.http.get("/api/videos", params={"page_size": 100}).json()["items"]
    assert {"two", "하나", "three"} <= {video["title"] for video in listed}
    again = run(str(nas / "noir" / "하나.mp4"), origin.url("/four.mp4"))
    assert again.returncode == 2
    assert again.stdout.splitlines() == [
        "noir/하나.mp4: there already",
        f"{origin.url('/four.mp4')}: the origin answers 404",
    ]
    assert "not below" in run("/etc/passwd").stderr


def test_private_addresses_are_refused(operator: Client, s3_server: S3Server) -> None:
    """The endpoint of S3 is no exception for addresses: its port is not among those that may be asked."""
    for location in (f"{s3_server.url}/cinema/night.mp4", "http://169.254.169.254/", "../secret.mp4"):
        answer = operator.http.post("/api/imports", json={"location": location})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_FAILED")
        assert answer.json()["error"]["details"]["fields"][0]["field"] == "location"


def test_missing_remote_film_is_unavailable(operator: Client, origin: Origin, film: Path) -> None:
    origin.files["/gone.mp4"] = film.read_bytes()
    answer = operator.http.post("/api/imports", json={"location": origin.url("/gone.mp4")})
    video = operator.await_status(answer.json()["id"], "ready")
    del origin.files["/gone.mp4"]
    missing = operator.http.get(f"/api/videos/{video['id']}/stream")
    assert (missing.status_code, missing.json()["error"]["code"]) == (503, "STREAM_FILE_UNAVAILABLE")
    assert missing.headers["retry-after"]
