"""Uvicorn's HTTP/1.1 protocol with one thing set right: whoever is answering learns that the client has left."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class Protocol(HttpToolsProtocol):
    """Uvicorn tells a lost connection to the newest request only.

    With pipelined requests (RFC 9112, 9.3.2) that is one still waiting in the queue: the running answer would go on
    reading its file into nothing until the file ends.
    """

    _running: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when the connection has ended."""
        if self._running and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
