"""`marquee upload`: send films to a running Marquee, many at a time, and go on where an earlier run ended.

Exit status: 0 when every film has arrived (or was there already), 1 when some failed, 2 when nothing could begin, 130
after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import mimetypes
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from apps.marquee.tus_client import Arrived, StoppedError, Transfer, TusClient, UploadError
from apps.marquee.upload_state import Remembered, UploadState
from kit.settings import SettingsError

FILMS = frozenset({".m4v", ".mkv", ".mov", ".mp4", ".webm"})
"""Suffixes of the files that are taken from a folder; a file named on the command line needs none of them."""

READY_SEC = 120.0
_POLL_SEC = 0.5

Status = Literal["uploaded", "skipped", "planned", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of one file: a line of `--json`."""

    file: str
    status: Status
    bytes: int = 0
    video_id: str | None = None
    duplicate_of: str | None = None
    resumed: bool = False
    error: str | None = None
    code: str = ""


def run(client: httpx.Client, login: str, arguments: argparse.Namespace) -> None:
    """Upload what the arguments name, report each file, and exit.

    Raises:
        SettingsError: an argument leads to no file.
        SystemExit: with 1 when some failed, 130 after Ctrl-C.
    """
    films = list(find_films(Path(each) for each in arguments.paths))
    if arguments.title is not None and len(films) != 1:
        raise SettingsError("--title is for a single file.")
    if not films:
        raise SettingsError("There is no video file in what was named.")
    uploads = Uploads(client, UploadState(str(client.base_url), login), arguments)
    outcomes = uploads.run(films)
    if uploads.is_stopped:
        sys.stderr.write("Stopped. What has arrived stays on the server: run the same command to go on.\n")
        raise SystemExit(130)
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    if not arguments.no_wait and not arguments.dry_run:
        failed += await_ready(
            client, [each.video_id for each in outcomes if each.status == "uploaded" and each.video_id]
        )
    if failed:
        raise SystemExit(1)


def find_films(paths: Iterator[Path]) -> Iterator[Path]:
    """Yield the files that are named, and those in folders that look like films, in order and each once.

    Raises:
        SettingsError: a path does not exist.
    """
    seen = set()
    for path in paths:
        if not path.exists():
            raise SettingsError(f"{path} does not exist.")
        inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in FILMS and each.is_file())
        for film in inside if path.is_dir() else [path]:
            if (resolved := film.resolve()) not in seen:
                seen.add(resolved)
                yield film


class Uploads:
    """The uploads of one run.

    Args:
        client: logged in.
        state: remembers uploads between runs.
        arguments: of the command line; see `upload_options`.
    """

    def __init__(self, client: httpx.Client, state: UploadState, arguments: argparse.Namespace) -> None:
        self._client = client
        self._state = state
        self._arguments = arguments
        self._stop = threading.Event()
        self._tus = TusClient(client, self._stop, arguments.patience)
        self._progress = Progress(
            TextColumn("{task.description}", table_column=None),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=arguments.json or not sys.stderr.isatty(),
        )

    @property
    def is_stopped(self) -> bool:
        """Return whether the user has stopped the run."""
        return self._stop.is_set()

    def run(self, films: Sequence[Path]) -> list[Outcome]:
        """Upload films, `--jobs` at a time; report each as it ends."""
        outcomes: list[Outcome] = []
        with self._stops_on_signals(), self._progress, ThreadPoolExecutor(self._arguments.jobs) as threads:
            total = sum(film.stat().st_size for film in films)
            overall = self._progress.add_task("all", total=total, visible=len(films) > 1)
            waiting: set[Future[Outcome]] = {threads.submit(self._upload, film, overall) for film in films}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    outcomes.append(future.result())
                    self._report(outcomes[-1])
        return outcomes

    @contextmanager
    def _stops_on_signals(self) -> Iterator[None]:
        """Let each transfer end at its next block after Ctrl-C; the server keeps what has arrived."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, lambda *_: self._stop.set()) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _upload(self, film: Path, overall: TaskID) -> Outcome:
        name = str(film)
        try:
            return self._attempt(film, overall)
        except StoppedError:
            return Outcome(name, "stopped")
        except UploadError as error:
            return Outcome(name, "failed", error=str(error), code=error.code, duplicate_of=error.duplicate_of)
        except (OSError, httpx.HTTPError) as error:
            return Outcome(name, "failed", error=getattr(error, "strerror", None) or str(error))

    def _attempt(self, film: Path, overall: TaskID) -> Outcome:
        if self._stop.is_set():
            raise StoppedError
        key, size = self._state.key(film), film.stat().st_size
        remembered = self._state.load(key)
        was_begun = remembered.url is not None
        if remembered.video_id and not self._arguments.again and self._exists(remembered.video_id):
            self._progress.advance(overall, size)
            return Outcome(str(film), "skipped", size, remembered.video_id)
        if self._arguments.dry_run:
            return Outcome(str(film), "planned", size, resumed=was_begun)
        arrived = self._send(film, key, remembered, size, overall)
        self._state.save(key, Remembered(video_id=arrived.video_id))
        return Outcome(str(film), "uploaded", size, arrived.video_id, arrived.duplicate_of, resumed=was_begun)

    def _send(self, film: Path, key: str, remembered: Remembered, size: int, overall: TaskID) -> Arrived:
        task = self._progress.add_task(film.name[:40], total=size)
        shown = 0

        def advance(sent: int) -> None:
            nonlocal shown
            self._progress.update(task, completed=sent)
            self._progress.advance(overall, sent - shown)
            shown = sent

        metadata = {
            "filename": film.name,
            "filetype": mimetypes.guess_type(film.name)[0] or "application/octet-stream",
            "title": self._arguments.title or "",
            "tags": self._arguments.tags,
            "corporation_id": self._arguments.corporation,
            "protection": "" if self._arguments.protection == "none" else self._arguments.protection,
        }
        try:
            return self._tus.send(
                Transfer(
                    film,
                    {name: value for name, value in metadata.items() if value},
                    remembered.url,
                    lambda url: self._state.save(key, Remembered(url=url)),
                    advance,
                )
            )
        finally:
            self._progress.remove_task(task)

    def _exists(self, video_id: str) -> bool:
        return self._client.get(f"/api/videos/{video_id}").is_success

    def _report(self, outcome: Outcome) -> None:
        if self._arguments.json:
            _say(json.dumps(asdict(outcome), ensure_ascii=False))
            return
        notes = {
            "uploaded": "uploaded, the same bytes as another video" if outcome.duplicate_of else "uploaded",
            "skipped": "uploaded before",
            "planned": f"would {'go on' if outcome.resumed else 'be sent'} ({outcome.bytes:,} bytes)",
            "failed": outcome.error or "failed",
            "stopped": "stopped",
        }
        self._progress.console.print(f"{outcome.file}: {notes[outcome.status]}", markup=False, highlight=False)


def await_ready(client: httpx.Client, ids: Sequence[str]) -> int:
    """Wait until every video is ready or failed, and report which; return how many failed."""
    waiting, failed = list(ids), 0
    deadline = time.monotonic() + READY_SEC
    while waiting and time.monotonic() < deadline:
        for video_id in list(waiting):
            answer = client.get(f"/api/videos/{video_id}")
            video = answer.json() if answer.is_success else {"status": "processing"}
            if video["status"] == "processing":
                continue
            waiting.remove(video_id)
            failed += video["status"] == "failed"
            reason = f": {video['failure_reason']}" if video["status"] == "failed" else ""
            sys.stderr.write(f"{video['title']}: {video['status']}{reason}\n")
        if waiting:
            time.sleep(_POLL_SEC)
    if waiting:
        sys.stderr.write(f"{len(waiting)} still being processed; they will appear by themselves.\n")
    return failed


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
