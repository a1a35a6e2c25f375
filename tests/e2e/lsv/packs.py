"""Make a protected pack out of a film, and wrap its key for a player, as docs/reference/lsv-licences.md says."""

from __future__ import annotations

import base64
import os
import struct
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lsv import ContentKey, Header
from lsv.layout import MAX_PLAINTEXT_BYTES
from services.thumbnailer.media.packing.pack import write_pack
from services.thumbnailer.media.packing.remux import remux

ONLINE: Final = 2
OFFLINE: Final = 3


@dataclass(frozen=True)
class Pack:
    """A film that was packed."""

    video_id: uuid.UUID
    key: ContentKey
    data: bytes
    header: Header

    @property
    def duration_sec(self) -> float:
        return self.header.duration / self.header.description.timescale

    def record_at(self, second: float) -> int:
        """Return the record that a seek to a time begins with."""
        return self.header.record_at(int(second * self.header.description.timescale))

    def record_of(self, offset: int) -> int | None:
        """Return the record in which a byte lies, or None for the header."""
        for index, start in enumerate(self.header.offsets[:-1]):
            if start <= offset < self.header.offsets[index + 1]:
                return index
        return None


def make_pack(film: Path, folder: Path) -> Pack:
    """Remux a film through a pipe and encrypt it, as the packager does."""
    read_fd, write_fd = os.pipe()

    def write() -> None:
        with os.fdopen(write_fd, "wb") as pipe, av.open(str(film)) as source:
            remux(source, pipe, MAX_PLAINTEXT_BYTES)

    writer = threading.Thread(target=write)
    writer.start()
    video_id, key = uuid.uuid4(), ContentKey.generate()
    try:
        with os.fdopen(read_fd, "rb") as pipe:
            destination = folder / "pack.lsv"
            header = write_pack(pipe.read, folder / "spool", destination, key, content_id=video_id, content_version=1)
    finally:
        writer.join()
    return Pack(video_id, key, destination.read_bytes(), header)


def wrap_for_player(pack: Pack, public_key: str, session_id: uuid.UUID, scope: int = ONLINE) -> dict[str, str]:
    """Return the fields of an answer that bring a content key to a player."""
    return _wrap(pack, public_key, scope, b"LSV_ONLINE_V1", session_id.bytes + pack.video_id.bytes)


def wrap_for_device(pack: Pack, public_key: str, device_id: uuid.UUID, expires_at: int) -> dict[str, str]:
    """Return the fields of a licence that bring a content key to a device until a moment, in seconds since 1970."""
    binding = pack.video_id.bytes + device_id.bytes + struct.pack(">Q", expires_at)
    return _wrap(pack, public_key, OFFLINE, b"LSV_OFFLINE_V1", binding)


def _wrap(pack: Pack, public_key: str, scope: int, label: bytes, binding: bytes) -> dict[str, str]:
    client = _decode(public_key)
    private_key = ec.generate_private_key(ec.SECP256R1())
    server = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    secret = private_key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), client))
    prefix = struct.pack(">BBBB16s", 1, 1, 1, scope, pack.key.id.bytes)
    kek = HKDF(SHA256(), 32, client + server, label + prefix + binding).derive(secret)
    wrapped = prefix + keywrap.aes_key_wrap(kek, pack.key.secret)
    return {"server_public_key": _encode(server), "wrapped_key": _encode(wrapped)}


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
