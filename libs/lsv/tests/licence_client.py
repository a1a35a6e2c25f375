"""What a device does with a wrapped key, written from docs/reference/lsv-licences.md alone."""

from __future__ import annotations

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lsv.tests.second_reader import RefusedError, hkdf, key_unwrap

ONLINE, OFFLINE = 2, 3


class Unwrapped(NamedTuple):
    """A content key and its name."""

    content_key_id: bytes
    content_key: bytes


class Device:
    """A device with a key pair of its own.

    Args:
        scalar: the private key; a new one by default.
    """

    def __init__(self, scalar: int | None = None) -> None:
        curve = ec.SECP256R1()
        self._private_key = ec.derive_private_key(scalar, curve) if scalar else ec.generate_private_key(curve)
        self.point = self._private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def unwrap_online(self, wrapped: bytes, server_point: bytes, *, session_id: bytes, video_id: bytes) -> Unwrapped:
        """Return the key of a play session."""
        return self._unwrap(wrapped, server_point, ONLINE, b"LSV_ONLINE_V1", session_id + video_id)

    def unwrap_offline(
        self, wrapped: bytes, server_point: bytes, *, video_id: bytes, device_id: bytes, expires_at: int
    ) -> Unwrapped:
        """Return the key of a licence."""
        bound = video_id + device_id + expires_at.to_bytes(8, "big")
        return self._unwrap(wrapped, server_point, OFFLINE, b"LSV_OFFLINE_V1", bound)

    def _unwrap(self, wrapped: bytes, server_point: bytes, scope: int, label: bytes, bound: bytes) -> Unwrapped:
        prefix, payload = wrapped[:20], wrapped[20:]
        if len(prefix) < 20 or prefix[0] != 1 or prefix[2] != 1 or prefix[3] != scope:
            raise RefusedError("prefix")
        server_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), server_point)
        secret = self._private_key.exchange(ec.ECDH(), server_key)
        kek = hkdf(secret, self.point + server_point, label + prefix + bound, 32)
        if prefix[1] == 1 and len(payload) == 40:
            return Unwrapped(prefix[4:], key_unwrap(kek, payload))
        if prefix[1] == 2 and len(payload) == 60:
            try:
                return Unwrapped(prefix[4:], AESGCM(kek).decrypt(payload[:12], payload[12:], prefix))
            except InvalidTag:
                raise RefusedError("payload") from None
        raise RefusedError("algorithm or length")
