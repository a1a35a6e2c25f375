"""The real nginx in front of four small servers that tell what reached them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from tests.contract.gateway.support import UPSTREAMS, Scene, Upstream
from tests.stacks.gateway import Gateway


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    servers, handlers, addresses = [], {}, {}
    for name in UPSTREAMS:
        made = {"service": name, "first_bytes": threading.Event(), "go_on": threading.Event()}
        handlers[name] = type(f"{name}Upstream", (Upstream,), made)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handlers[name])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        addresses[name] = f"127.0.0.1:{server.server_address[1]}"
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), addresses)
    gateway.start()
    try:
        made_scene = Scene(gateway, handlers, addresses)
        yield made_scene
        made_scene.http.close()
    finally:
        gateway.stop()
        for server in servers:
            server.shutdown()
            server.server_close()
