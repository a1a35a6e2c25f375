"""Content keys, and the keys derived from them for one pack."""

from __future__ import annotations

import hashlib
import hmac
import os
import uuid
from dataclasses import dataclass, field
from typing import Final, Self
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
"""Length of content keys, master keys and derived keys."""
MAC_BYTES: Final = 32
HEADER_KEY_INFO: Final = b"LSV1 header key"
RECORD_KEY_INFO: Final = b"LSV1 record key"


def derive(secret: bytes, *, salt: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Return `length` bytes of HKDF-SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt, info).derive(secret)


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The secret that opens a pack, and its public name. The secret is left out of `repr`, so that no log has it."""

    id: UUID
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ValueError unless the secret is 32 bytes long."""
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a content key is {KEY_BYTES} bytes long")

    @classmethod
    def generate(cls) -> Self:
        """Return a new random key."""
        return cls(uuid.uuid4(), os.urandom(KEY_BYTES))


class PackKeys:
    """What a content key becomes for one pack: one key for its header, one for its records."""

    def __init__(self, key: ContentKey, pack_id: UUID) -> None:
        """Derive both keys with the pack's id as salt, so that no two packs share one."""
        self._header_key = derive(key.secret, salt=pack_id.bytes, info=HEADER_KEY_INFO)
        self._cipher = AESGCM(derive(key.secret, salt=pack_id.bytes, info=RECORD_KEY_INFO))

    def mac(self, authenticated: bytes) -> bytes:
        """Return the HMAC-SHA-256 (RFC 2104) of the header without its last 32 bytes."""
        return hmac.digest(self._header_key, authenticated, hashlib.sha256)

    def is_authentic(self, authenticated: bytes, mac: bytes) -> bool:
        """Return whether the MAC belongs to these bytes, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.mac(authenticated), mac)

    def encrypt(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Return ciphertext and tag."""
        return self._cipher.encrypt(nonce, plaintext, associated)

    def decrypt(self, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
        """Return the plaintext. Raise `cryptography.exceptions.InvalidTag` if anything was changed."""
        return self._cipher.decrypt(nonce, sealed, associated)
