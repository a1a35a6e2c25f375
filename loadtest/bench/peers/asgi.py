"""Applications as they are usually written, under uvicorn with one worker.

python -m loadtest.bench.peers.asgi accel|file-response|generator PORT FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from kit.service import listen
from kit.testing.servers import free_port
from loadtest.bench.peers import Peer
from loadtest.bench.processes import Process, wait_for

_GENERATOR_BLOCK = 64 * 1024


def accel(folder: Path) -> ASGIApp:
    """Name the file that nginx has to send (X-Accel-Redirect)."""
    del folder
    app = FastAPI()

    @app.get("/{name:path}")
    async def send(name: str) -> Response:
        return Response(headers={"X-Accel-Redirect": f"/internal/{name}"})

    return app


def file_response(folder: Path) -> ASGIApp:
    """Respond with Starlette's FileResponse, which supports ranges."""

    async def send(request: Request) -> Response:
        return FileResponse(folder / request.path_params["name"])

    return Starlette(routes=[Route("/{name:path}", send)])


def generator(folder: Path) -> ASGIApp:
    """Respond as many tutorials do: with an asynchronous generator of 64 KiB blocks.

    It reads on the event loop, which is faster than reading in a thread while the file is cached, and blocks every
    other viewer while it is not.
    """
    app = FastAPI()

    @app.get("/{name:path}")
    async def send(name: str, request: Request) -> Response:
        path = folder / name
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        first = int(asked[1]) if asked else 0
        last = int(asked[2]) if asked and asked[2] else size - 1

        async def blocks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                file.seek(first)
                left = last - first + 1
                while left > 0 and (block := file.read(min(_GENERATOR_BLOCK, left))):
                    left -= len(block)
                    yield block

        headers = {"Content-Length": str(last - first + 1), "Accept-Ranges": "bytes"}
        if asked:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return StreamingResponse(blocks(), 206 if asked else 200, headers, "video/mp4")

    return app


_APPS: dict[str, Callable[[Path], ASGIApp]] = {
    "accel": accel,
    "file-response": file_response,
    "generator": generator,
}


class _UvicornPeer(Peer):
    def start(self) -> None:
        """Start it."""
        self.port = free_port()
        root = str(self.place.media.root)
        command = [sys.executable, "-m", "loadtest.bench.peers.asgi", self.name, str(self.port), root]
        self.processes = [Process(self.name, command, self.place.server_cores).start()]
        wait_for(self.processes[0], f"/{self.place.media.clip.reference}", self.port)


class FileResponsePeer(_UvicornPeer):
    """Starlette's FileResponse."""

    name = "file-response"
    title = "Starlette FileResponse"
    description = "one Starlette route under uvicorn with httptools, no access log"


class GeneratorPeer(_UvicornPeer):
    """A StreamingResponse over a generator."""

    name = "generator"
    title = "StreamingResponse generator, 64 KiB"
    description = (
        "FastAPI route with an asynchronous generator that reads blocks of 64 KiB on the event loop, as in many a"
        " tutorial; under uvicorn with httptools, no access log"
    )


def main(name: str, port: int, folder: Path) -> None:
    """Serve one of the applications."""
    config = uvicorn.Config(
        _APPS[name](folder),
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=600,
        backlog=4096,
    )
    # Marquee's own listener: without its TCP_NODELAY a response in two pieces could wait for a delayed acknowledgement.
    with listen("127.0.0.1", port) as listener:
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
