"""Numbers and fixed structures of the format: docs/reference/lsv-format.md, byte by byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from lsv.errors import MalformedHeaderError, NotAPackError, TruncatedPackError, UnsupportedPackError

MAGIC: Final = b"\x89LSV\r\n\x1a\n"
FORMAT_VERSION: Final = 1
IDENTIFIERS: Final = {
    "format version": FORMAT_VERSION,
    "key derivation": 1,  # HKDF-SHA-256
    "record cipher": 1,  # AES-256-GCM
    "header authentication": 1,  # HMAC-SHA-256
    "index version": 1,
    "media format": 1,  # fragmented MP4
    "flags": 0,
}
"""Bytes 8 to 15: what this library writes, and the only values that it reads."""

_PRELUDE: Final = struct.Struct(">8s6BH16sQ16s16sIIII")
PRELUDE_BYTES: Final = _PRELUDE.size
_ENTRY: Final = struct.Struct(">II")
ENTRY_BYTES: Final = _ENTRY.size
_PROPERTY: Final = struct.Struct(">HH")

MAX_PROPERTIES_BYTES: Final = 2**16
MAX_INDEX_BYTES: Final = 2**21
MAX_PLAINTEXT_BYTES: Final = 3 * 2**19
"""1.5 MiB: WebCrypto decrypts a record as a whole."""
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES
MAX_RECORD_BYTES: Final = MAX_PLAINTEXT_BYTES + OVERHEAD_BYTES
U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1

KEY_FRAME: Final = 0x01
"""Flag of a record whose first picture can be decoded without any before it."""
MIME_TYPE: Final = 0x0001
OPTIONAL: Final = 0x8000
"""Properties from here on may be ignored by a reader that does not know them."""
MAX_MIME_BYTES: Final = 255

_RECORD_LABEL: Final = b"LSV1.REC"
_RECORD_SCOPE: Final = struct.Struct(">8s16sQ16sI")


@dataclass(frozen=True, slots=True)
class PackDescription:
    """What a pack holds, apart from its records."""

    content_id: UUID
    content_version: int
    """Of the bytes that were packed; grows when they are replaced."""
    pack_id: UUID
    """Random; one for each time that content is packed."""
    key_id: UUID
    mime_type: str
    """With codecs, as `MediaSource.isTypeSupported` takes it."""
    timescale: int
    """Ticks a second of the durations in the index."""


class Entry(NamedTuple):
    """A record as the index describes it."""

    duration: int
    """Ticks until the next chunk begins; 0 for the initialisation segment."""
    length: int
    """Bytes of the record: nonce, ciphertext and tag."""
    begins_with_key_frame: bool


@dataclass(frozen=True, slots=True)
class Prelude:
    """The first 88 bytes, not yet authenticated."""

    content_id: UUID
    content_version: int
    pack_id: UUID
    key_id: UUID
    timescale: int
    record_count: int
    properties_bytes: int
    index_bytes: int

    @property
    def authenticated_bytes(self) -> int:
        """Return the length of the header without its MAC."""
        return PRELUDE_BYTES + self.properties_bytes + self.index_bytes

    def encode(self) -> bytes:
        """Return the bytes."""
        return _PRELUDE.pack(
            MAGIC,
            *IDENTIFIERS.values(),
            self.content_id.bytes,
            self.content_version,
            self.pack_id.bytes,
            self.key_id.bytes,
            self.timescale,
            self.record_count,
            self.properties_bytes,
            self.index_bytes,
        )

    @classmethod
    def decode(cls, raw: bytes) -> Prelude:
        """Read the first 88 bytes of a pack.

        Raises:
            NotAPackError: they begin with another magic number.
            TruncatedPackError: there are fewer.
            UnsupportedPackError: a version or an algorithm is unknown.
            MalformedHeaderError: properties or index are longer than allowed.
        """
        if raw[: len(MAGIC)] != MAGIC[: len(raw)]:
            raise NotAPackError("the file is no LSV pack")
        if len(raw) < PRELUDE_BYTES:
            raise TruncatedPackError("the pack ends within its prelude")
        _, *fields = _PRELUDE.unpack_from(raw)
        for (name, supported), found in zip(IDENTIFIERS.items(), fields, strict=False):
            if found != supported:
                raise UnsupportedPackError(name, found)
        content, version, pack, key, *numbers = fields[len(IDENTIFIERS) :]
        prelude = cls(UUID(bytes=content), version, UUID(bytes=pack), UUID(bytes=key), *numbers)
        if prelude.properties_bytes > MAX_PROPERTIES_BYTES or prelude.index_bytes > MAX_INDEX_BYTES:
            raise MalformedHeaderError("the header is longer than allowed")
        return prelude


def encode_entry(entry: Entry) -> bytes:
    """Return the eight bytes of an index entry."""
    return _ENTRY.pack(entry.duration, entry.length << 8 | (KEY_FRAME if entry.begins_with_key_frame else 0))


def decode_entries(raw: bytes) -> tuple[Entry, ...]:
    """Return the entries of an index. Raise MalformedHeaderError for unknown flags or an incomplete entry."""
    if len(raw) % ENTRY_BYTES:
        raise MalformedHeaderError("the index ends within an entry")
    entries = []
    for duration, word in _ENTRY.iter_unpack(raw):
        if word & 0xFF & ~KEY_FRAME:
            raise MalformedHeaderError("a record has unknown flags")
        entries.append(Entry(duration, word >> 8, bool(word & KEY_FRAME)))
    return tuple(entries)


def encode_properties(mime_type: str) -> bytes:
    """Return the properties of a pack."""
    value = mime_type.encode("ascii")
    return _PROPERTY.pack(MIME_TYPE, len(value)) + value


def decode_properties(raw: bytes) -> str:
    """Return the MIME type. Ignore optional properties that are unknown.

    Raises:
        MalformedHeaderError: properties are cut off or not in ascending order, or there is no MIME type.
        UnsupportedPackError: an unknown property is not optional.
    """
    mime_type: str | None = None
    at, before = 0, -1
    while at < len(raw):
        if len(raw) - at < _PROPERTY.size:
            raise MalformedHeaderError("a property is cut off")
        kind, length = _PROPERTY.unpack_from(raw, at)
        at += _PROPERTY.size
        value = raw[at : at + length]
        if len(value) < length or kind <= before:
            raise MalformedHeaderError("properties are cut off, or not in ascending order")
        if kind == MIME_TYPE:
            mime_type = value.decode("latin-1")
        elif kind < OPTIONAL:
            raise UnsupportedPackError("property", kind)
        at, before = at + length, kind
    if mime_type is None:
        raise MalformedHeaderError("the pack has no MIME type")
    return mime_type


def record_scope(description: PackDescription, index: int) -> bytes:
    """Return the associated data of a record: where it belongs."""
    return _RECORD_SCOPE.pack(
        _RECORD_LABEL,
        description.content_id.bytes,
        description.content_version,
        description.pack_id.bytes,
        index,
    )
