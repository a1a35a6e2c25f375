"""Commands that talk to a running Marquee as any client would."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import httpx

from apps.marquee import dead_letters, importing, jobs
from apps.marquee.demo import SampleError, make_samples
from kit.settings import SettingsError

READY_SEC = 120.0
_CONNECT_SEC = 10.0


def run(arguments: argparse.Namespace) -> None:
    """Run `upload`, `import`, `demo`, `dead-letters` or `reprocess`.

    Raises:
        SettingsError: the command failed; the text says what to do.
    """
    with contextlib.closing(_connect(arguments)) as client:
        match arguments.command:
            case "demo":
                _await_ready(client, _upload_samples(client))
            case "upload":
                _await_ready(client, [_upload(client, Path(name), None, "") for name in arguments.files])
            case "import":
                options = {"prune": arguments.prune, "rescan": arguments.rescan}
                importing.run(client, arguments.locations, options, as_json=arguments.json)
            case "dead-letters":
                dead_letters.run(client, arguments)
            case "reprocess":
                kinds = [("kind", kind) for kind in arguments.kind or ()]
                job = _checked(client.post("/api/videos/process", params=kinds)).json()
                _say(
                    f"Media information and artwork of {job['requested']} videos are being made again: job {job['id']}."
                )
                if arguments.wait:
                    jobs.await_end(client, job["id"])


def _upload_samples(client: httpx.Client) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="marquee-demo-") as folder:
        try:
            samples = make_samples(Path(folder), _say)
        except SampleError as error:
            raise SettingsError(str(error)) from error
        return [_upload(client, path, title, description) for path, title, description in samples]


def _connect(arguments: argparse.Namespace) -> httpx.Client:
    port = os.environ.get("MARQUEE_HTTP_PORT", "8080")
    url = arguments.url or os.environ.get("MARQUEE_URL") or f"http://127.0.0.1:{port}"
    login = arguments.login or os.environ.get("MARQUEE_ADMIN_LOGIN", "admin")
    password = arguments.password or os.environ.get("MARQUEE_ADMIN_PASSWORD")
    if not password:
        if not sys.stdin.isatty():
            raise SettingsError("MARQUEE_ADMIN_PASSWORD is not set; it is needed to log in.")
        password = getpass.getpass(f"Password of {login}: ")
    # No deadline for bodies: a film over a slow line takes its time.
    client = httpx.Client(base_url=url, auth=(login, password), timeout=httpx.Timeout(None, connect=_CONNECT_SEC))
    try:
        _checked(client.get("/api/users/me"))
    except httpx.HTTPError as error:
        raise SettingsError(f"{url} does not answer ({error}); start Marquee with `make run`.") from error
    return client


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        try:
            message = response.json()["error"]["message"]
        except (ValueError, KeyError):
            message = response.reason_phrase
        raise SettingsError(f"{response.request.method} {response.request.url.path}: {message}")
    return response


def _upload(client: httpx.Client, path: Path, title: str | None, description: str) -> str:
    try:
        file = path.open("rb")
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}.") from error
    with file, ProgressBar(title or path.name, path.stat().st_size) as bar:
        fields = {"description": description} | ({"title": title} if title else {})
        body = {"file": (path.name, cast("BinaryIO", _CountedFile(file, bar.advance)), "application/octet-stream")}
        response = client.post("/api/videos", data=fields, files=body)
    return str(_checked(response).json()["id"])


def _await_ready(client: httpx.Client, ids: list[str]) -> None:
    """Wait until every upload is ready or failed, and report which."""
    waiting = list(ids)
    deadline = time.monotonic() + READY_SEC
    while waiting and time.monotonic() < deadline:
        for video_id in list(waiting):
            video = _checked(client.get(f"/api/videos/{video_id}")).json()
            if video["status"] == "processing":
                continue
            waiting.remove(video_id)
            reason = f": {video['failure_reason']}" if video["status"] == "failed" else ""
            _say(f"{video['title']}: {video['status']}{reason}")
        time.sleep(0.5)
    if waiting:
        _say(f"{len(waiting)} still being processed; they will appear by themselves.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class ProgressBar:
    """One line that shows progress; on a terminal only."""

    WIDTH = 30

    def __init__(self, label: str, total: int) -> None:
        self._label = label[:40]
        self._total = max(total, 1)
        self._done = 0
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._is_terminal = sys.stderr.isatty()

    def advance(self, count: int) -> None:
        """Count more bytes as done."""
        self._done += count
        now = time.monotonic()
        if self._is_terminal and (now - self._drawn_at > 0.1 or self._done >= self._total):  # noqa: PLR2004 - ten times a second
            self._drawn_at = now
            share = min(self._done / self._total, 1.0)
            bar = "#" * int(share * self.WIDTH)
            rate = self._done / max(now - self._started, 0.001) / 2**20
            sys.stderr.write(f"\r{self._label:40} [{bar:{self.WIDTH}}] {share:4.0%} {rate:7.1f} MiB/s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_terminal:
            sys.stderr.write("\n")


class _CountedFile:
    """A file that reports how much of it was read."""

    def __init__(self, file: BinaryIO, on_read: Callable[[int], None]) -> None:
        self._file = file
        self._on_read = on_read

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._on_read(len(block))
        return block

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()
