"""The site, and as much of the API as its watch page needs for one protected film: with faults to order."""

from __future__ import annotations

import re
import socket
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from apps.marquee.gateway import Site
from tests.e2e.lsv.packs import ONLINE, Pack, wrap_for_device, wrap_for_player
from tests.stacks.base import REPOSITORY, wait_for

LICENCE_SEC: Final = 30 * 86_400
WATERMARK: Final = {"text": "하나 · 00000007", "opacity": 0.3, "size": 0.045, "interval_sec": 20, "visible_sec": 12}
HEARTBEAT_SEC: Final = 60
"""Longer than a test: a fresh ticket comes only when the player asks for one."""


@dataclass
class Faults:
    """What goes wrong, until a test says otherwise."""

    flips: Counter[int] = field(default_factory=Counter)
    """How often each record comes with one bit flipped."""
    scope: str = "ONLINE_STREAM_ONLY"
    wrapped_scope: int = ONLINE
    cut: bool = False
    """Whether the pack can't be got at all."""
    queued: bool = False
    """Whether a session has to wait until its first heartbeat."""
    unprotected: bool = False
    """Whether the film is said to be like any other; its bytes are not there."""
    outdated_key: bool = False
    """Whether the key that comes with a session is that of a version before."""
    away: bool = False
    """Whether nothing of the server can be reached."""
    bytes_left: int | None = None
    """How many bytes of the pack are served before it can't be got any more."""


class ProtectedServer:
    """Serves one protected film on a port of its own."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.faults = Faults()
        self.records: list[tuple[int | None, str]] = []
        """Which record each request for bytes was for, and its `Cache-Control`."""
        self.refused = 0
        """Requests with a ticket that is over."""
        self.ended = 0
        self.positions: list[float] = []
        self.saved: float | None = None
        """Where the viewer stopped the last time."""
        self.keys_asked = 0
        self.licences: dict[str, dict[str, Any]] = {}
        """Offline licences in force, by id, without their keys."""
        self._tickets: set[str] = set()
        self._site = self._app()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(self._gate, log_level="warning", lifespan="off", interface="asgi3")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._server.started, 60, "the server of a protected film")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.should_exit = True
        self._thread.join()

    def end_tickets(self) -> None:
        """Refuse every ticket that was given until now."""
        self._tickets.clear()

    async def _gate(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = Response(status_code=503) if self.faults.away else self._site
        await answer(scope, receive, send)

    def _app(self) -> Starlette:
        video = "/api/videos/{video_id}"
        session = "/api/play-sessions/{session_id}"
        return Starlette(
            routes=[
                Route("/api/users/me", self._me),
                Route(video, self._video),
                Route(f"{video}/lsv", self._bytes),
                Route(f"{video}/subtitles", self._subtitles),
                Route(f"{video}/subtitles/ko.vtt", self._vtt),
                Route(f"{video}/storyboard.vtt", self._storyboard),
                Route(f"{video}/sheet.svg", self._sheet),
                Route("/api/progress/{video_id}", self._progress, methods=["GET", "PUT"]),
                Route("/api/play-sessions", self._start, methods=["POST"]),
                Route(f"{session}/heartbeat", self._heartbeat, methods=["POST"]),
                Route(f"{session}/key", self._key, methods=["POST"]),
                Route(f"{session}/end", self._end, methods=["POST"]),
                Route(session, self._end, methods=["DELETE"]),
                Route("/api/offline-licenses", self._licences, methods=["GET", "POST"]),
                Route("/api/offline-licenses/{license_id}", self._end_licence, methods=["DELETE"]),
                Route("/api/offline-licenses/{license_id}/renew", self._renew, methods=["POST"]),
                Route("/api/{rest:path}", _missing, methods=["GET", "POST", "PUT", "DELETE"]),
                Mount("/", Site(REPOSITORY / "web" / "dist")),
            ]
        )

    async def _me(self, _: Request) -> Response:
        user = {"id": str(uuid.UUID(int=7)), "login_id": "hana", "display_name": "하나", "role": "member"}
        return JSONResponse({**user, "status": "active", "can_upload": False})

    async def _video(self, request: Request) -> Response:
        if request.path_params["video_id"] != str(self.pack.video_id):
            return await _missing(request)
        nothing = ("description", "thumbnail_url", "failure_code", "failure_reason", "uploader_id", "series_id")
        return JSONResponse(
            {
                "id": str(self.pack.video_id),
                "title": "Night train",
                "duration_sec": self.pack.duration_sec,
                "status": "ready",
                "created_at": "2026-11-30T12:00:00Z",
                "mime_type": "video/mp4",
                "width": 640,
                "height": 360,
                "protection": None if self.faults.unprotected else "lsv",
                "storyboard_url": f"/api/videos/{self.pack.video_id}/storyboard.vtt",
                **dict.fromkeys(nothing),
            }
        )

    async def _subtitles(self, _: Request) -> Response:
        url = f"/api/videos/{self.pack.video_id}/subtitles/ko.vtt"
        track = {"track": "ko", "language": "ko", "title": "", "forced": False, "sdh": False, "url": url}
        return JSONResponse({"items": [track]})

    async def _vtt(self, _: Request) -> Response:
        return Response("WEBVTT\n\n00:00.000 --> 00:59.000\n밤 기차\n", media_type="text/vtt")

    async def _storyboard(self, _: Request) -> Response:
        return Response("WEBVTT\n\n00:00.000 --> 00:59.000\nsheet.svg#xywh=0,0,16,9\n", media_type="text/vtt")

    async def _sheet(self, _: Request) -> Response:
        sheet = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="9"/>'
        return Response(sheet, media_type="image/svg+xml")

    async def _progress(self, request: Request) -> Response:
        if request.method == "GET":
            if self.saved is None:
                return Response(status_code=204)
            facts = {"content_id": str(self.pack.video_id), "position": self.saved, "duration": self.pack.duration_sec}
            return JSONResponse({**facts, "progress_percent": 50, "completed": False, "updated_at": "2026-11-30"})
        self.positions.append((await request.json())["position"])
        return JSONResponse({"success": True, "progress_percent": 0})

    async def _start(self, request: Request) -> Response:
        session_id = uuid.uuid4()
        if self.faults.queued:
            waiting = {"status": "queued", "position": 1, "retry_after_sec": 1, "heartbeat_sec": HEARTBEAT_SEC}
            return JSONResponse({"session_id": str(session_id), **waiting})
        public_key = (await request.json()).get("public_key")
        if public_key is None:
            return JSONResponse(self._active(session_id))
        grant = self._grant(public_key, session_id)
        if self.faults.outdated_key:
            grant["content_version"] = 0
        return JSONResponse({**self._active(session_id), **grant, "watermark": WATERMARK})

    async def _key(self, request: Request) -> Response:
        self.keys_asked += 1
        public_key = (await request.json())["public_key"]
        return JSONResponse(self._grant(public_key, uuid.UUID(request.path_params["session_id"])))

    async def _heartbeat(self, request: Request) -> Response:
        return JSONResponse(self._active(uuid.UUID(request.path_params["session_id"])))

    async def _end(self, _: Request) -> Response:
        self.ended += 1
        return Response(status_code=204)

    def _active(self, session_id: uuid.UUID) -> dict[str, Any]:
        ticket = uuid.uuid4().hex
        self._tickets.add(ticket)
        return {
            "session_id": str(session_id),
            "status": "active",
            "heartbeat_sec": HEARTBEAT_SEC,
            "stream_url": f"/api/videos/{self.pack.video_id}/lsv?ticket={ticket}",
            "ticket": ticket,
            "protection": "lsv",
        }

    def _grant(self, public_key: str, session_id: uuid.UUID) -> dict[str, Any]:
        wrapped = wrap_for_player(self.pack, public_key, session_id, self.faults.wrapped_scope)
        return {"scope": self.faults.scope, "content_version": 1, **wrapped}

    async def _licences(self, request: Request) -> Response:
        if request.method == "GET":
            items = list(self.licences.values())
            return JSONResponse({"items": items, "page": 1, "page_size": 100, "total": len(items)})
        body = await request.json()
        facts = {"id": str(uuid.uuid4()), "video_id": body["video_id"], "device_id": body["device_id"]}
        return self._issue({**facts, "device_name": body["device_name"]}, body["public_key"], 201)

    async def _renew(self, request: Request) -> Response:
        licence = self.licences[request.path_params["license_id"]]
        return self._issue(licence, (await request.json())["public_key"], 200)

    async def _end_licence(self, request: Request) -> Response:
        self.licences.pop(request.path_params["license_id"], None)
        return Response(status_code=204)

    def _issue(self, facts: dict[str, Any], public_key: str, status: int) -> Response:
        now = datetime.now(UTC).replace(microsecond=0)
        expires_at = now + timedelta(seconds=LICENCE_SEC)
        dates = {"issued_at": now.isoformat(), "expires_at": expires_at.isoformat()}
        licence = {**facts, **dates, "scope": "OFFLINE_PLAYBACK", "content_version": 1}
        self.licences[licence["id"]] = licence
        key = wrap_for_device(self.pack, public_key, uuid.UUID(licence["device_id"]), int(expires_at.timestamp()))
        return JSONResponse({**licence, **key, "watermark": WATERMARK}, status)

    async def _bytes(self, request: Request) -> Response:
        if self.faults.cut:
            return JSONResponse({"error": {"code": "SERVICE_UNAVAILABLE", "message": "away", "details": {}}}, 503)
        if request.query_params["ticket"] not in self._tickets:
            self.refused += 1
            return JSONResponse({"error": {"code": "AUTH_INVALID_TOKEN", "message": "over", "details": {}}}, 401)
        size = len(self.pack.data)
        first, last = (int(text) for text in re.findall(r"\d+", request.headers["range"]))
        last = min(last, size - 1)
        record = self.pack.record_of(first)
        self.records.append((record, request.headers.get("cache-control", "")))
        body = bytearray(self.pack.data[first : last + 1])
        if self.faults.bytes_left is not None:
            self.faults.bytes_left -= len(body)
            if self.faults.bytes_left < 0:
                return Response(status_code=503)
        if record is not None and self.faults.flips[record] > 0:
            self.faults.flips[record] -= 1
            body[len(body) // 2] ^= 1
        headers = {"Content-Range": f"bytes {first}-{last}/{size}", "Cache-Control": "no-store"}
        return Response(bytes(body), 206, headers, "application/octet-stream")


async def _missing(_: Request) -> Response:
    return JSONResponse({"error": {"code": "CONTENT_NOT_FOUND", "message": "not here", "details": {}}}, 404)
