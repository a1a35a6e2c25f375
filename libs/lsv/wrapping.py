"""Wrap content keys with a master key, for the time that they lie in a database."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lsv.errors import UnknownMasterKeyError, UnsupportedPackError, WrappedKeyError
from lsv.keys import KEY_BYTES, ContentKey, derive

WRAP_VERSION: Final = 1
KEK_DERIVATION: Final = 1
AT_REST: Final = 1
"""Scope of a key wrapped by a master key. 2 and 3 are kept for licences: online and offline."""
MASTER_KEK_LABEL: Final = b"LSV_MASTER_V1"
MASTER_ID_LABEL: Final = b"LSV_MASTER_ID_V1"
ID_BYTES: Final = 16

_PREFIX: Final = struct.Struct(">BBBB16s16s")
_NONCE_BYTES: Final = 12


class WrapAlgorithm(IntEnum):
    """How a content key is wrapped."""

    AES_KW = 1
    """AES-256 key wrap (RFC 3394)."""
    AES_GCM = 2
    """AES-256-GCM with a random nonce."""


PAYLOAD_BYTES: Final = {WrapAlgorithm.AES_KW: KEY_BYTES + 8, WrapAlgorithm.AES_GCM: _NONCE_BYTES + KEY_BYTES + 16}


class MasterKeys:
    """The master keys of an installation: one that wraps, and older ones that still unwrap.

    A master key is named by an id derived from it, so that no configuration can name it wrongly.
    """

    def __init__(self, current: bytes, previous: Iterable[bytes] = ()) -> None:
        """Take keys of 32 bytes. Raise ValueError for any other length."""
        ring = (current, *previous)
        if any(len(secret) != KEY_BYTES for secret in ring):
            raise ValueError(f"a master key is {KEY_BYTES} bytes long")
        self._secrets = {master_key_id(secret): secret for secret in ring}
        self.current_id = master_key_id(current)

    def wrap(self, key: ContentKey, algorithm: WrapAlgorithm = WrapAlgorithm.AES_KW) -> bytes:
        """Return a content key wrapped by the current master key."""
        prefix = _PREFIX.pack(WRAP_VERSION, algorithm, KEK_DERIVATION, AT_REST, self.current_id, key.id.bytes)
        kek = _kek(self._secrets[self.current_id], prefix)
        if algorithm is WrapAlgorithm.AES_KW:
            return prefix + keywrap.aes_key_wrap(kek, key.secret)
        nonce = os.urandom(_NONCE_BYTES)
        return prefix + nonce + AESGCM(kek).encrypt(nonce, key.secret, prefix)

    def unwrap(self, wrapped: bytes, *, key_id: UUID) -> ContentKey:
        """Return the content key of this id.

        Raises:
            UnsupportedPackError: a version or an algorithm is unknown.
            UnknownMasterKeyError: its master key is not in this ring.
            WrappedKeyError: it was changed, or is another content key.
        """
        algorithm, master_id, found = _split(wrapped)
        if found != key_id:
            raise WrappedKeyError(f"this is content key {found}")
        if master_id not in self._secrets:
            raise UnknownMasterKeyError(f"master key {master_id.hex()} is not known")
        prefix, payload = wrapped[: _PREFIX.size], wrapped[_PREFIX.size :]
        kek = _kek(self._secrets[master_id], prefix)
        try:
            if algorithm is WrapAlgorithm.AES_KW:
                return ContentKey(key_id, keywrap.aes_key_unwrap(kek, payload))
            return ContentKey(key_id, AESGCM(kek).decrypt(payload[:_NONCE_BYTES], payload[_NONCE_BYTES:], prefix))
        except (InvalidTag, keywrap.InvalidUnwrap):
            raise WrappedKeyError("the wrapped key is not authentic") from None

    def knows(self, master_id: bytes) -> bool:
        """Return whether the master key of this name is in this ring."""
        return master_id in self._secrets

    def is_current(self, wrapped: bytes) -> bool:
        """Return whether the current master key wrapped it. Raise what `unwrap` raises of malformed ones."""
        return _split(wrapped)[1] == self.current_id

    def rewrap(self, wrapped: bytes, *, key_id: UUID) -> bytes:
        """Return the same content key wrapped by the current master key, by the same algorithm.

        The pack stays as it is. Raise what `unwrap` raises.
        """
        return self.wrap(self.unwrap(wrapped, key_id=key_id), _split(wrapped)[0])


def master_key_id(secret: bytes) -> bytes:
    """Return the public name of a master key, 16 bytes."""
    return derive(secret, salt=b"", info=MASTER_ID_LABEL, length=ID_BYTES)


def _kek(secret: bytes, prefix: bytes) -> bytes:
    """Return the key that wraps: another one for each prefix, so that a changed prefix does not unwrap."""
    return derive(secret, salt=b"", info=MASTER_KEK_LABEL + prefix)


def _split(wrapped: bytes) -> tuple[WrapAlgorithm, bytes, UUID]:
    """Return algorithm, id of the master key and id of the content key. Check everything that needs no key."""
    if len(wrapped) < _PREFIX.size:
        raise WrappedKeyError("the wrapped key is cut off")
    version, algorithm, derivation, scope, master_id, key_id = _PREFIX.unpack_from(wrapped)
    if version != WRAP_VERSION:
        raise UnsupportedPackError("wrap version", version)
    if algorithm not in set(WrapAlgorithm):
        raise UnsupportedPackError("wrap algorithm", algorithm)
    if derivation != KEK_DERIVATION:
        raise UnsupportedPackError("wrap key derivation", derivation)
    if scope != AT_REST:
        raise WrappedKeyError(f"scope {scope} is not for keys at rest")
    if len(wrapped) != _PREFIX.size + PAYLOAD_BYTES[WrapAlgorithm(algorithm)]:
        raise WrappedKeyError("the wrapped key has the wrong length")
    return WrapAlgorithm(algorithm), master_id, UUID(bytes=key_id)
