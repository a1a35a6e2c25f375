"""Four small servers that tell what reached them, and the gateway in front of them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx

from tests.stacks.gateway import Gateway

UPSTREAMS = ("auth", "catalog", "stream", "progress")
ID = "0190a6f5-0000-7000-8000-000000000000"
ARTWORK_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie", "ETag": '"one"'}


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked; `/slow` and uploads show whether anything is held back."""

    protocol_version = "HTTP/1.1"
    service: str
    first_bytes: threading.Event
    go_on: threading.Event

    def do_GET(self) -> None:
        if "slow" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "20")
            self.end_headers()
            self.wfile.write(b"first half")
            self.wfile.flush()
            self.go_on.wait(20)
            self.wfile.write(b"and second")
            return
        if self.path.endswith("/thumbnail") and "If-None-Match" in self.headers:
            self.send_response(304)
            self.send_artwork_headers()
            self.end_headers()
            return
        if "refuse" in self.path:
            self.answer(503, {"error": {"code": "STREAM_FILE_UNAVAILABLE"}})
            return
        self.answer(200, {"service": self.service, "path": self.path, "headers": dict(self.headers)})

    def do_POST(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
            self.first_bytes.set()
        self.answer(201, {"service": self.service})

    def answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-From-Service", self.service)
        if self.path.endswith("/thumbnail"):
            self.send_artwork_headers()
        self.end_headers()
        self.wfile.write(content)

    def send_artwork_headers(self) -> None:
        for name, value in ARTWORK_HEADERS.items():
            self.send_header(name, value)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


class Scene:
    def __init__(self, gateway: Gateway, handlers: dict[str, type[Upstream]], addresses: dict[str, str]) -> None:
        self.gateway = gateway
        self.handlers = handlers
        self.addresses = addresses
        self.http = httpx.Client(base_url=gateway.base_url, timeout=20)
