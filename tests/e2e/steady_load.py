"""Viewers who go on asking while something happens to Marquee: what they were answered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from tests.e2e.client import HEADERS, Client

PAUSE_SEC = 0.05


class SteadyLoad:
    """Ask for pages, lists, bytes and progress, one after the other, by several viewers, until the block ends.

    A request that finds the connection that it would use again just closed is sent once more, as browsers do (RFC 9112,
    9.3.1). All else but a success is a failure: nothing is tried again.

    Args:
        admin: the viewer.
        video_id: a film that is ready.
        viewers: how many ask at the same time.
    """

    def __init__(self, admin: Client, video_id: str, viewers: int = 4) -> None:
        self.answered = 0
        self.resent = 0
        self.failures: list[str] = []
        self._base_url = str(admin.http.base_url)
        self._token = admin.token
        self._video = f"/api/videos/{video_id}"
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(viewers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)

    def _requests(self, number: int) -> list[Callable[[httpx.Client, int], httpx.Request]]:
        position = f"/api/progress/{self._video.rpartition('/')[2]}"
        return [
            lambda http, _: http.build_request("GET", "/"),
            lambda http, _: http.build_request("GET", "/api/videos"),
            lambda http, turn: http.build_request(
                "PUT", position, json={"position": turn % 10, "duration": 12, "session_id": None}
            ),
            lambda http, _: http.build_request("GET", "/api/users/me"),
            lambda http, turn: http.build_request(
                "GET", f"{self._video}/stream", headers={"Range": f"bytes={turn % 100}-{turn % 100 + 9999}"}
            ),
            lambda http, _: http.build_request("GET", position),
            lambda http, _: http.build_request("GET", self._video),
        ]

    def _ask(self, number: int) -> None:
        headers = {**HEADERS, "Authorization": f"Bearer {self._token}"}
        # Half of them take a new connection each time, as one who has just come.
        keep = httpx.Limits(max_keepalive_connections=None if number % 2 else 0)
        with httpx.Client(base_url=self._base_url, timeout=60, headers=headers, limits=keep) as http:
            requests = self._requests(number)
            for turn in itertools.count(number):
                if self._over.is_set():
                    return
                self._send(http, requests[turn % len(requests)](http, turn))
                time.sleep(PAUSE_SEC)

    def _send(self, http: httpx.Client, request: httpx.Request, *, again: bool = True) -> None:
        failure = ""
        try:
            answer = http.send(request)
            if not answer.is_success:
                failure = f"{answer.status_code} {answer.text}"
        except httpx.RemoteProtocolError as error:
            if again and "without sending a response" in str(error):
                with self._lock:
                    self.resent += 1
                self._send(http, request, again=False)
                return
            failure = repr(error)
        except httpx.HTTPError as error:
            failure = repr(error)
        with self._lock:
            self.answered += 1
            if failure:
                self.failures.append(f"{time.strftime('%T')} {request.method} {request.url.path}: {failure}")
