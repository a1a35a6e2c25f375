from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from kit.service import HttpServer, listen
from kit.settings import ServiceSettings, load

REQUEST = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"


async def test_a_running_answer_learns_that_a_pipelining_client_has_left() -> None:
    learned: asyncio.Queue[str] = asyncio.Queue()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000000")]})
        await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        learned.put_nowait("left")

    listener = listen("127.0.0.1", 0)
    server = HttpServer(app, load(ServiceSettings, drain_sec=1, request_timeout_sec=0.5))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(REQUEST + REQUEST)
        await reader.readuntil(b"xxx")
        writer.transport.abort()
        assert await asyncio.wait_for(learned.get(), 30) == "left"
    finally:
        server.should_exit = True
        await serving
