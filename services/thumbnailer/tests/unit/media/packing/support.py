"""Remux films as the child does, and read the packets and pictures of what was packed."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from lsv.layout import MAX_PLAINTEXT_BYTES
from services.thumbnailer.media.packing.remux import remux
from services.thumbnailer.tests.unit.films import Film

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def remuxed(path: Path, max_bytes: int = MAX_PLAINTEXT_BYTES) -> bytes:
    """Return the fragments of a film, written through a pipe."""
    read_fd, write_fd = os.pipe()
    parts: list[bytes] = []

    def collect() -> None:
        with os.fdopen(read_fd, "rb") as pipe:
            parts.append(pipe.read())

    reader = threading.Thread(target=collect)
    reader.start()
    try:
        with os.fdopen(write_fd, "wb") as pipe, av.open(str(path)) as source:
            remux(source, pipe, max_bytes)
    finally:
        reader.join()
    return parts[0]


def reads(data: bytes) -> Callable[[int], bytes]:
    return io.BytesIO(data).read


@dataclass(frozen=True)
class Packets:
    """The packets of one track."""

    hashes: list[str]
    seconds: list[float]
    """When each is shown."""


def packets(data: bytes | str) -> dict[str, Packets]:
    """Return the packets of pictures and of sound."""
    found: dict[str, list[tuple[str, float]]] = {}
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else data, "r") as source:
        for packet in source.demux():
            if packet.dts is not None and packet.pts is not None:
                digest = hashlib.sha256(bytes(packet)).hexdigest()
                found.setdefault(packet.stream.type, []).append((digest, float(packet.pts * packet.time_base)))
    return {kind: Packets([each[0] for each in rows], [each[1] for each in rows]) for kind, rows in found.items()}


def first_picture(data: bytes) -> tuple[bool, float]:
    """Decode the first picture; return whether it is a key frame, and its time in seconds."""
    with av.open(io.BytesIO(data), "r") as source:
        frame = next(source.decode(video=0))
        assert frame.time is not None
        return frame.key_frame, frame.time


def noise(second: float, width: int, height: int) -> list[bytes]:
    """Return a picture that compresses badly."""
    seed = hashlib.shake_128(str(second).encode()).digest(width * height)
    return [seed[row * width : (row + 1) * width] for row in range(height)]


LONG_GROUPS = Film(12, sound="aac", key_frame_sec=10, options={"sc_threshold": "0"})
TWO_SECONDS = Film(9, sound="aac", key_frame_sec=2)
