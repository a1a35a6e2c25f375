"""Ranges that repeat are replayed behind the gateway, too: a real nginx in front of the server of stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.stream.delivery.file_response import TRACING_FIELDS
from tests.contract.gateway.support import UPSTREAMS
from tests.stacks.base import UNLIMITED
from tests.stacks.gateway import Gateway
from zerocopy.tests.support import Media, serving
from zerocopy.tests.test_repeat import Film

PATH = "/api/videos/0190a6f5-0000-7000-8000-000000000000/stream?ticket=secret"


@pytest.fixture
def film(tmp_path: Path) -> Iterator[Film]:
    media = Media(tmp_path / "film", os.urandom(1 << 20))
    film = Film(media)
    film.tracing = TRACING_FIELDS
    yield film
    media.close()


@pytest.fixture
def gateway(film: Film, tmp_path: Path) -> Iterator[Gateway]:
    with serving(film.app) as server:
        host, port = server.address
        nowhere = dict.fromkeys(UPSTREAMS, "127.0.0.1:1")
        gateway = Gateway(tmp_path / "gateway", {**nowhere, "stream": f"{host}:{port}"}, UNLIMITED)
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()


def test_ranges_of_a_viewer_are_replayed_with_the_gateways_ids(gateway: Gateway, film: Film) -> None:
    with httpx.Client(base_url=gateway.base_url, timeout=60) as viewer:
        for first in range(10):
            answer = viewer.get(PATH, headers={"Range": f"bytes={first}-{first + 70_000}"})
            assert answer.status_code == 206
            assert answer.content == film.media.content[first : first + 70_001]
        for name in ("of-the-viewer", "another"):
            viewer.get(PATH, headers={"Range": "bytes=0-0", "X-Request-ID": name})
    # All came over one connection of the viewer, hence one process of nginx, hence one connection to stream.
    assert len(film.asked) == 1
    ids = [traced[b"x-request-id"] for traced in film.traced]
    assert len(ids) == len(set(ids)) == 11
    assert ids[-2:] == [b"of-the-viewer", b"another"]


def test_viewers_who_share_a_connection_to_stream_are_kept_apart(gateway: Gateway, film: Film) -> None:
    with httpx.Client(base_url=gateway.base_url, timeout=60) as line:
        for cookie in ("marquee_access=one", "marquee_access=two", "marquee_access=two", "marquee_access=one"):
            assert line.get(PATH, headers={"Range": "bytes=1-2", "Cookie": cookie}).status_code == 206
    assert film.asked == ["bytes=1-2"] * 2
    assert film.again == [b"bytes=1-2"] * 2
