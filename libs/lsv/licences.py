"""Wrap content keys for one device: for a play session, or for a licence that lasts without the network.

The page of this is docs/reference/lsv-licences.md. The device unwraps with the private key of its point. The server's
private key is thrown away with each answer.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lsv.errors import InvalidPublicKeyError
from lsv.keys import ContentKey, derive
from lsv.wrapping import WrapAlgorithm

LICENCE_VERSION: Final = 1
ECDH_P256_HKDF: Final = 1
"""Key derivation: ECDH on P-256, then HKDF-SHA-256."""
POINT_BYTES: Final = 65
"""Length of a public key: an uncompressed point (SEC 1, 2.3.3)."""
ONLINE_LABEL: Final = b"LSV_ONLINE_V1"
OFFLINE_LABEL: Final = b"LSV_OFFLINE_V1"

_PREFIX: Final = struct.Struct(">BBBB16s")
_NONCE_BYTES: Final = 12
_UNCOMPRESSED: Final = 4


class Scope(IntEnum):
    """What a wrapped key is good for."""

    ONLINE = 2
    OFFLINE = 3


class Binding(Protocol):
    """What a wrapped key is bound to: with anything else it does not unwrap."""

    scope: Scope

    def info(self, prefix: bytes) -> bytes:
        """Return the `info` of the derivation of the key that wraps."""


@dataclass(frozen=True, slots=True)
class OnlineBinding:
    """One play session of one video."""

    session_id: UUID
    video_id: UUID
    scope = Scope.ONLINE

    def info(self, prefix: bytes) -> bytes:
        """See `Binding`."""
        return ONLINE_LABEL + prefix + self.session_id.bytes + self.video_id.bytes


@dataclass(frozen=True, slots=True)
class OfflineBinding:
    """One video on one device until a moment, in whole seconds since 1970."""

    video_id: UUID
    device_id: UUID
    expires_at: int
    scope = Scope.OFFLINE

    def info(self, prefix: bytes) -> bytes:
        """See `Binding`."""
        return OFFLINE_LABEL + prefix + self.video_id.bytes + self.device_id.bytes + struct.pack(">Q", self.expires_at)


class WrappedForDevice(NamedTuple):
    """A content key that only one device can unwrap."""

    server_public_key: bytes
    wrapped_key: bytes


def parse_public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of an uncompressed point of P-256.

    Raises:
        InvalidPublicKeyError: it has another length or form, or is not on the curve.
    """
    if len(point) != POINT_BYTES or point[0] != _UNCOMPRESSED:
        raise InvalidPublicKeyError("the public key is no uncompressed point of P-256")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise InvalidPublicKeyError("the public key is not on the curve P-256") from None


def wrap_for_device(
    key: ContentKey,
    public_key: ec.EllipticCurvePublicKey,
    binding: Binding,
    algorithm: WrapAlgorithm = WrapAlgorithm.AES_KW,
) -> WrappedForDevice:
    """Return a content key wrapped for the holder of a public key."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    return wrap_with(private_key, key, public_key, binding, algorithm, os.urandom(_NONCE_BYTES))


def wrap_with(
    private_key: ec.EllipticCurvePrivateKey,
    key: ContentKey,
    public_key: ec.EllipticCurvePublicKey,
    binding: Binding,
    algorithm: WrapAlgorithm,
    nonce: bytes,
) -> WrappedForDevice:
    """Wrap with a given key of the server and a given nonce, for test vectors: both must be used only once."""
    ours, theirs = _point(private_key.public_key()), _point(public_key)
    prefix = _PREFIX.pack(LICENCE_VERSION, algorithm, ECDH_P256_HKDF, binding.scope, key.id.bytes)
    secret = private_key.exchange(ec.ECDH(), public_key)
    kek = derive(secret, salt=theirs + ours, info=binding.info(prefix))
    if algorithm is WrapAlgorithm.AES_KW:
        payload = keywrap.aes_key_wrap(kek, key.secret)
    else:
        payload = nonce + AESGCM(kek).encrypt(nonce, key.secret, prefix)
    return WrappedForDevice(ours, prefix + payload)


def _point(public_key: ec.EllipticCurvePublicKey) -> bytes:
    return public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
