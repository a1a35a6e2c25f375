"""Upload films to a Marquee of its own, and see how long their thumbnails take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from kit.testing.servers import free_port

_PASSWORD = "measured-by-the-benchmark"  # noqa: S105 - of a server that lives for the time of the run
_START_SEC = 120.0
_LIMIT_SEC = 120.0
_LOOK_EVERY_SEC = 0.02


@contextmanager
def marquee(folder: Path) -> Iterator[httpx.Client]:
    """Run a Marquee in one process; yield a client that is logged in as its administrator."""
    port = free_port()
    settings = {
        "MARQUEE_DATA_DIR": str(folder),
        "MARQUEE_HTTP_PORT": str(port),
        "MARQUEE_ADMIN_PASSWORD": _PASSWORD,
        "MARQUEE_RATE_LIMIT_PER_MIN": "999999",
        "MARQUEE_USER_RATE_LIMIT_PER_MIN": "999999",
    }
    command = [sys.executable, "-m", "apps.marquee", "serve"]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log) as process,  # noqa: S603 - own program
        httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("admin", _PASSWORD), timeout=600) as client,
    ):
        try:
            if not _is_started(client, process):
                log.seek(0)
                raise RuntimeError(f"Marquee did not start: {log.read().decode(errors='replace')}")
            yield client
        finally:
            process.terminate()


def seconds_to_thumbnail(client: httpx.Client, film: Path) -> float:
    """Upload a film; return the seconds from the answer 201 until its thumbnail can be fetched."""
    with film.open("rb") as file:
        answer = client.post("/api/videos", files={"file": (film.name, file, "video/mp4")})
    answer.raise_for_status()
    started, path = time.perf_counter(), f"/api/videos/{answer.json()['id']}"
    while time.perf_counter() - started < _LIMIT_SEC:
        video: dict[str, Any] = client.get(path).json()
        if video["thumbnail_url"]:
            client.get(video["thumbnail_url"]).raise_for_status()
            return time.perf_counter() - started
        time.sleep(_LOOK_EVERY_SEC)
    raise TimeoutError(f"no thumbnail within {_LIMIT_SEC} s: {video['jobs']}")


def _is_started(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    """Wait until it answers; return whether it does."""
    until = time.monotonic() + _START_SEC
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.get("/api/videos").status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False
