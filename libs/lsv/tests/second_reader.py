"""A reader of LSV packs written from docs/reference/lsv-format.md alone. It shares no code with `lsv`.

It takes HMAC from the standard library, and AES from `cryptography`; HKDF and AES key wrap are written out.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class RefusedError(Exception):
    """The page says to refuse this."""


@dataclass(frozen=True)
class Chunk:
    start: int
    duration: int
    is_key: bool
    plaintext: bytes


@dataclass(frozen=True)
class Film:
    mime_type: str
    timescale: int
    init: bytes
    chunks: list[Chunk]


def refuse_unless(holds: object, why: str) -> None:
    if not holds:
        raise RefusedError(why)


def number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, 2.2 and 2.3, for at most 32 bytes."""
    pseudorandom = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(pseudorandom, info + b"\x01", "sha256")[:length]


def gcm(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise RefusedError("tag") from None


def key_unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """RFC 3394, 2.2.2, the version with indices."""
    decryptor = Cipher(algorithms.AES(kek), modes.ECB()).decryptor()  # noqa: S305 (single blocks, as the RFC says)
    first, *blocks = (wrapped[at : at + 8] for at in range(0, len(wrapped), 8))
    count = len(blocks)
    for step in range(6 * count, 0, -1):
        at = (step - 1) % count
        block = decryptor.update((int.from_bytes(first, "big") ^ step).to_bytes(8, "big") + blocks[at])
        first, blocks[at] = block[:8], block[8:]
    refuse_unless(first == bytes.fromhex("A6" * 8), "initial value")
    return b"".join(blocks)


def read(pack: bytes, content_key: bytes, key_id: bytes, content_id: bytes, content_version: int) -> Film:
    """Follow "What a reader does" for the whole of a pack."""
    # 1
    refuse_unless(len(pack) >= 88, "shorter than a prelude")
    refuse_unless(pack[:8] == bytes.fromhex("894C53560D0A1A0A"), "magic")
    refuse_unless(pack[8:14] == bytes([1] * 6) and number(pack, 14, 2) == 0, "versions, algorithms, flags")
    count, properties_length, index_length = number(pack, 76, 4), number(pack, 80, 4), number(pack, 84, 4)
    refuse_unless(properties_length <= 65_536 and index_length <= 2_097_152, "lengths")
    # 2
    refuse_unless(pack[56:72] == key_id, "key id")
    # 3
    end = 88 + properties_length + index_length
    mac = pack[end : end + 32]
    header_key = hkdf(content_key, pack[40:56], b"LSV1 header key", 32)
    refuse_unless(hmac.compare_digest(hmac.digest(header_key, pack[:end], "sha256"), mac), "MAC")
    # 4
    timescale = number(pack, 72, 4)
    refuse_unless(timescale >= 1 and count >= 2 and index_length == 8 * count, "numbers of the prelude")
    mime_type = read_properties(pack[88 : 88 + properties_length])
    entries = read_index(pack[88 + properties_length : end])
    # 5
    refuse_unless(pack[16:32] == content_id and number(pack, 32, 8) == content_version, "content, version")
    # 6
    refuse_unless(len(pack) == end + 32 + sum(length for _, length, _ in entries), "length")
    # 7
    record_key = hkdf(content_key, pack[40:56], b"LSV1 record key", 32)
    offset, start = end + 32, 0
    chunks = []
    for index, (duration, length, flags) in enumerate(entries):
        record = pack[offset : offset + length]
        associated = b"LSV1.REC" + pack[16:32] + pack[32:40] + pack[40:56] + index.to_bytes(4, "big")
        plaintext = gcm(record_key, record[:12], record[12:], associated)
        chunks.append(Chunk(start, duration, flags == 1, plaintext))
        offset, start = offset + length, start + duration
    return Film(mime_type, timescale, chunks[0].plaintext, chunks[1:])


def read_properties(raw: bytes) -> str:
    mime_type = None
    before = -1
    while raw:
        refuse_unless(len(raw) >= 4, "property cut off")
        kind, length = number(raw, 0, 2), number(raw, 2, 2)
        refuse_unless(kind > before and len(raw) >= 4 + length, "order of properties, or cut off")
        if kind == 1:
            value = raw[4 : 4 + length]
            refuse_unless(1 <= length <= 255 and all(0x20 <= each <= 0x7E for each in value), "MIME type")
            mime_type = value.decode()
        else:
            refuse_unless(kind >= 0x8000, "unknown property")
        raw, before = raw[4 + length :], kind
    if mime_type is None:
        raise RefusedError("no MIME type")
    return mime_type


def read_index(raw: bytes) -> list[tuple[int, int, int]]:
    entries = []
    for at in range(0, len(raw), 8):
        duration, length, flags = number(raw, at, 4), number(raw, at + 4, 3), raw[at + 7]
        refuse_unless(29 <= length <= 1_572_892 and flags in {0, 1}, "length or flags")
        refuse_unless((duration == 0 and flags == 0) if at == 0 else duration >= 1, "duration")
        refuse_unless(at != 8 or flags == 1, "first chunk")
        entries.append((duration, length, flags))
    return entries


def unwrap(wrapped: bytes, master_key: bytes, key_id: bytes) -> bytes:
    """Follow "Wrapped content keys"."""
    prefix, payload = wrapped[:36], wrapped[36:]
    refuse_unless(len(prefix) == 36, "cut off")
    refuse_unless(
        prefix[0] == 1 and prefix[1] in {1, 2} and prefix[2] == 1 and prefix[3] == 1, "version, algorithm, scope"
    )
    refuse_unless(prefix[4:20] == hkdf(master_key, b"", b"LSV_MASTER_ID_V1", 16), "master key id")
    refuse_unless(prefix[20:36] == key_id, "content key id")
    refuse_unless(len(payload) == (40 if prefix[1] == 1 else 60), "length")
    kek = hkdf(master_key, b"", b"LSV_MASTER_V1" + prefix, 32)
    return key_unwrap(kek, payload) if prefix[1] == 1 else gcm(kek, payload[:12], payload[12:], prefix)
