"""A client of resumable uploads (tus 1.0.0): sends one file, in as many requests as the line needs."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import httpx

BLOCK = 1 << 18
FIRST_PAUSE_SEC = 0.5
LONGEST_PAUSE_SEC = 30.0
_VERSION = {"Tus-Resumable": "1.0.0"}
_PASSING = frozenset({408, 409, 423, 425, 429, 460, 500, 502, 503, 504})
_GONE = frozenset({404, 410})


class UploadError(Exception):
    """The file was not uploaded; the text says why, and `code` is the server's error code, if it answered."""

    def __init__(self, text: str, code: str = "", duplicate_of: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.duplicate_of = duplicate_of


class StoppedError(Exception):
    """The user wants to stop; what has arrived stays on the server."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that has become a video."""

    video_id: str
    duplicate_of: str | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One file and how its upload is followed.

    Args:
        path: the file.
        metadata: `filename`, `title`, …
        url: the path of the upload on the server from an earlier run; None to begin.
        remember: takes that path when it changes; None when it is worth nothing any more.
        progress: takes the number of bytes that are sent.
    """

    path: Path
    metadata: Mapping[str, str]
    url: str | None
    remember: Callable[[str | None], None]
    progress: Callable[[int], None]


class TusClient:
    """Sends files to one server.

    Args:
        http: a client that is logged in.
        stop: set to stop all transfers.
        patience_sec: how long without a byte of progress before a transfer is given up.
    """

    def __init__(self, http: httpx.Client, stop: threading.Event, patience_sec: float = 300.0) -> None:
        self._http = http
        self._stop = stop
        self._patience_sec = patience_sec

    def send(self, transfer: Transfer) -> Arrived:
        """Send a file, from where an earlier attempt ended.

        Raises:
            UploadError: it can't be uploaded, or nothing moved for too long.
            StoppedError: `stop` is set.
            OSError: the file can't be read.
        """
        with transfer.path.open("rb") as file:
            return _Attempts(self._http, self._stop, self._patience_sec, transfer, file).run()


class _Attempts:
    """The requests of one transfer."""

    def __init__(
        self, http: httpx.Client, stop: threading.Event, patience_sec: float, transfer: Transfer, file: BinaryIO
    ) -> None:
        self._http = http
        self._stop = stop
        self._patience_sec = patience_sec
        self._transfer = transfer
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._url = transfer.url
        self._confirmed = -1
        self._moved_at = time.monotonic()
        self._pause_sec = FIRST_PAUSE_SEC

    def run(self) -> Arrived:
        """Repeat requests until the file has arrived."""
        while True:
            if self._stop.is_set():
                raise StoppedError
            try:
                response = self._step()
            except httpx.TransportError as error:
                self._wait(str(error) or type(error).__name__)
                continue
            if arrived := _arrived(response):
                self._transfer.progress(self._size)
                return arrived
            if response.is_error:
                self._consider(response)

    def _step(self) -> httpx.Response:
        """Begin the upload, or ask where it is and send the rest."""
        if self._url is None:
            response = self._http.post("/api/uploads", headers=_VERSION | self._creation())
            if response.status_code == HTTPStatus.CREATED:
                self._url = response.headers["Location"]
                self._transfer.remember(self._url)
            return response
        head = self._http.head(self._url, headers=_VERSION)
        if head.is_error or _arrived(head):
            return head
        offset = int(head.headers["Upload-Offset"])
        if head.headers.get("Upload-Length") != str(self._size):
            raise UploadError("The file's size has changed since its upload began; run again to begin anew.")
        if offset > self._confirmed:
            self._confirmed = offset
            self._moved_at, self._pause_sec = time.monotonic(), FIRST_PAUSE_SEC
        self._transfer.progress(offset)
        headers = _VERSION | {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Content-Length": str(self._size - offset),
        }
        return self._http.patch(self._url, headers=headers, content=self._blocks(offset))

    def _creation(self) -> dict[str, str]:
        pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in self._transfer.metadata.items())
        return {"Upload-Length": str(self._size), "Upload-Metadata": ",".join(pairs), "Content-Length": "0"}

    def _blocks(self, offset: int) -> Iterator[bytes]:
        sent = offset
        while sent < self._size:
            if self._stop.is_set():
                raise StoppedError
            block = os.pread(self._file.fileno(), min(BLOCK, self._size - sent), sent)
            if not block:
                raise UploadError("The file became shorter while it was sent.")
            yield block
            sent += len(block)
            self._transfer.progress(sent)

    def _consider(self, response: httpx.Response) -> None:
        """Wait before another attempt, where one may help.

        Raises:
            UploadError: it can't.
        """
        status, refusal = response.status_code, _refusal(response)
        video_id = refusal.details.get("video_id") or response.headers.get("Marquee-Duplicate-Of")
        if video_id:
            self._forget()
            raise UploadError("A video has these very bytes already.", "UPLOAD_CONFLICT", video_id)
        if status in _GONE and self._url is not None:
            self._forget()
        elif status in _PASSING:
            self._wait(refusal.message, response.headers.get("Retry-After", ""))
        else:
            if status == HTTPStatus.INSUFFICIENT_STORAGE:
                self._forget()
            raise UploadError(refusal.message, refusal.code)

    def _forget(self) -> None:
        self._url = None
        self._confirmed = -1
        self._transfer.remember(None)

    def _wait(self, reason: str, retry_after: str = "") -> None:
        if time.monotonic() - self._moved_at > self._patience_sec:
            raise UploadError(f"Nothing has moved for {self._patience_sec:.0f} s ({reason}); run again to go on.")
        pause = float(retry_after) if retry_after.isdigit() else self._pause_sec
        self._stop.wait(min(pause, LONGEST_PAUSE_SEC))
        self._pause_sec = min(self._pause_sec * 2, LONGEST_PAUSE_SEC)


def _arrived(response: httpx.Response) -> Arrived | None:
    video_id = response.headers.get("Marquee-Video-Id")
    return Arrived(video_id, response.headers.get("Marquee-Duplicate-Of")) if video_id else None


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    message: str
    details: dict[str, Any]


def _refusal(response: httpx.Response) -> _Refusal:
    try:
        error = response.json()["error"]
        return _Refusal(error["code"], error["message"], error["details"])
    except (ValueError, KeyError, TypeError):
        return _Refusal("", f"{response.status_code} {response.reason_phrase}", {})
