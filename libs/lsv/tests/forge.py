"""Make packs that are authentic but break a rule, as a faulty writer would. Shares no code with `lsv`.

`python -m lsv.tests.forge` writes vectors/refused-v1.json anew.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lsv.tests.second_reader import hkdf

VECTORS = Path(__file__).parent / "vectors"
CONTENT_KEY = bytes(range(32))
KEY_ID = bytes.fromhex("4a5e0f6c11114111811100000000000e")
CONTENT_ID = bytes.fromhex("018f6e2a0000700080000000000000c0")
CONTENT_VERSION = 3
MIME = b'video/mp4; codecs="avc1.64001f"'


def prop(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def entry(duration: int, length: int, flags: int) -> bytes:
    return duration.to_bytes(4, "big") + length.to_bytes(3, "big") + bytes([flags])


@dataclass(frozen=True)
class Forgery:
    """A pack by its raw parts. None: what belongs there."""

    identifiers: bytes = bytes([1] * 6) + bytes(2)
    timescale: int = 90_000
    count: int | None = None
    properties: bytes = prop(1, MIME)
    index: bytes | None = None
    plaintexts: tuple[bytes, ...] = (b"init", b"first", b"second")

    def build(self) -> bytes:
        pack_id = bytes([0xFA] * 16)
        lengths = [len(each) + 28 for each in self.plaintexts]
        index = self.index
        if index is None:
            index = b"".join(entry(90_000 * bool(at), length, bool(at)) for at, length in enumerate(lengths))
        scope = CONTENT_ID + CONTENT_VERSION.to_bytes(8, "big") + pack_id
        numbers = (self.timescale, len(lengths) if self.count is None else self.count, len(self.properties), len(index))
        head = b"\x89LSV\r\n\x1a\n" + self.identifiers + scope + KEY_ID
        head += b"".join(each.to_bytes(4, "big") for each in numbers) + self.properties + index
        mac = hmac.digest(hkdf(CONTENT_KEY, pack_id, b"LSV1 header key", 32), head, "sha256")
        cipher = AESGCM(hkdf(CONTENT_KEY, pack_id, b"LSV1 record key", 32))
        records = []
        for at, plaintext in enumerate(self.plaintexts):
            number = at.to_bytes(4, "big")
            nonce = bytes(8) + number
            records.append(nonce + cipher.encrypt(nonce, plaintext, b"LSV1.REC" + scope + number))
        return head + mac + b"".join(records)


GOOD = Forgery()
INIT, FIRST, SECOND = entry(0, 32, 0), entry(90_000, 33, 1), entry(90_000, 34, 1)
IDENTIFIERS = (
    "format version",
    "key derivation",
    "record cipher",
    "header authentication",
    "index version",
    "media format",
)

ACCEPTED = {
    "nothing unusual": GOOD,
    "unknown optional property": replace(GOOD, properties=prop(1, MIME) + prop(0x8000, b"ignore me")),
    "several optional properties, one empty": replace(
        GOOD, properties=prop(1, MIME) + prop(0x8001, b"") + prop(0xFFFF, b"x")
    ),
    "later chunk without key frame": replace(GOOD, index=INIT + FIRST + entry(90_000, 34, 0)),
    "greatest duration of a chunk": replace(GOOD, index=INIT + entry(2**32 - 1, 33, 1) + SECOND),
    "longest MIME type": replace(GOOD, properties=prop(1, b"m" * 255)),
}

REFUSED = {
    **{
        f"{name} {value}": replace(GOOD, identifiers=bytes([1] * at + [value] + [1] * (5 - at)) + bytes(2))
        for at, name in enumerate(IDENTIFIERS)
        for value in (0, 2)
    },
    "flags": replace(GOOD, identifiers=bytes([1] * 6) + b"\0\1"),
    "timescale 0": replace(GOOD, timescale=0),
    "fewer records in the prelude than in the index": replace(GOOD, count=2),
    "more records in the prelude than in the index": replace(GOOD, count=4),
    "no records": replace(GOOD, index=b"", plaintexts=()),
    "initialisation segment only": replace(GOOD, index=INIT, plaintexts=(b"init",)),
    "index that ends within an entry": replace(GOOD, index=INIT + FIRST + SECOND + b"\0\0\0\0"),
    "initialisation segment with a duration": replace(GOOD, index=entry(1, 32, 0) + FIRST + SECOND),
    "initialisation segment with a flag": replace(GOOD, index=entry(0, 32, 1) + FIRST + SECOND),
    "chunk without duration": replace(GOOD, index=INIT + FIRST + entry(0, 34, 1)),
    "first chunk without key frame": replace(GOOD, index=INIT + entry(90_000, 33, 0) + SECOND),
    "unknown flag of a record": replace(GOOD, index=INIT + FIRST + entry(90_000, 34, 3)),
    "record without plaintext": replace(
        GOOD, index=INIT + entry(90_000, 28, 1) + SECOND, plaintexts=(b"init", b"", b"second")
    ),
    "record longer than allowed": replace(GOOD, index=INIT + FIRST + entry(90_000, 1_572_893, 1)),
    "no properties": replace(GOOD, properties=b""),
    "no MIME type": replace(GOOD, properties=prop(0x8000, b"x")),
    "MIME type twice": replace(GOOD, properties=prop(1, MIME) * 2),
    "empty MIME type": replace(GOOD, properties=prop(1, b"")),
    "MIME type of 256 characters": replace(GOOD, properties=prop(1, b"m" * 256)),
    "MIME type with a line break": replace(GOOD, properties=prop(1, MIME + b"\n")),
    "MIME type that is not ASCII": replace(GOOD, properties=prop(1, MIME + b"\xe9")),
    "unknown property that is not optional": replace(GOOD, properties=prop(1, MIME) + prop(2, b"x")),
    "last property that is not optional": replace(GOOD, properties=prop(1, MIME) + prop(0x7FFF, b"x")),
    "properties in wrong order": replace(GOOD, properties=prop(0x8000, b"x") + prop(1, MIME)),
    "property that is cut off": replace(GOOD, properties=prop(1, MIME)[:-1]),
    "property whose length is cut off": replace(GOOD, properties=prop(1, MIME) + b"\x80\x00\x00"),
    "bytes behind the last record": replace(GOOD, index=INIT + FIRST, count=2),
}


def vectors() -> dict[str, object]:
    """Return the contents of refused-v1.json."""
    return {
        "content_key": CONTENT_KEY.hex(),
        "content_key_id": KEY_ID.hex(),
        "content_id": CONTENT_ID.hex(),
        "content_version": CONTENT_VERSION,
        "accepted": {name: forgery.build().hex() for name, forgery in ACCEPTED.items()},
        "refused": {name: forgery.build().hex() for name, forgery in REFUSED.items()},
    }


if __name__ == "__main__":
    (VECTORS / "refused-v1.json").write_text(json.dumps(vectors(), indent=2) + "\n")
