"""Content keys on their way to a device: whose key they are wrapped for, and what they are bound to."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from kit.errors import ApiError, invalid_field
from lsv import ContentKey, WrapAlgorithm
from lsv.errors import InvalidPublicKeyError
from lsv.licences import Binding, OnlineBinding, parse_public_key, wrap_for_device
from services.stream.domain import Source
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.viewers import Viewers

FIELD: Final = "public_key"
_POINT: Final = re.compile(r"[A-Za-z0-9_-]{87}")


class WrapName(StrEnum):
    """The names of `WrapAlgorithm` in requests."""

    AES_KW = "AES-KW"
    AES_GCM = "AES-GCM"

    @property
    def algorithm(self) -> WrapAlgorithm:
        """Return the algorithm."""
        return WrapAlgorithm.AES_KW if self is WrapName.AES_KW else WrapAlgorithm.AES_GCM


class DeviceKey(NamedTuple):
    """A wrapped key as answers have it: base64url without padding."""

    server_public_key: str
    wrapped_key: str


def parse_device_key(text: str | None) -> ec.EllipticCurvePublicKey:
    """Return the public key of a device.

    Args:
        text: base64url without padding of the uncompressed point.

    Raises:
        ApiError: VALIDATION_FAILED, which names `public_key`.
    """
    if text is None:
        raise invalid_field(FIELD, "is required for a protected film")
    if not _POINT.fullmatch(text):
        raise invalid_field(FIELD, "must be base64url of 65 bytes")
    point = base64.urlsafe_b64decode(text + "=")
    # Of several spellings of the same bytes one is right.
    if encode(point) != text:
        raise invalid_field(FIELD, "must be base64url of 65 bytes")
    try:
        return parse_public_key(point)
    except InvalidPublicKeyError as error:
        raise invalid_field(FIELD, str(error)) from error


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class PreparedKey:
    """A content key that only has to be bound."""

    source: Source
    content_key: ContentKey
    public_key: ec.EllipticCurvePublicKey
    algorithm: WrapAlgorithm

    def bind(self, binding: Binding) -> DeviceKey:
        """Return the key, wrapped for the device and bound."""
        wrapped = wrap_for_device(self.content_key, self.public_key, binding, self.algorithm)
        return DeviceKey(encode(wrapped.server_public_key), encode(wrapped.wrapped_key))

    def bind_to_session(self, session_id: str) -> DeviceKey:
        """Return the key for a play session."""
        return self.bind(OnlineBinding(UUID(session_id), UUID(self.source.video_id)))


class DeviceKeys:
    """Prepare content keys for devices.

    Args:
        content_keys: the keys of packs.
        viewers: record refused requests.
    """

    def __init__(self, content_keys: ContentKeys, viewers: Viewers) -> None:
        self._content_keys = content_keys
        self._viewers = viewers

    async def prepare(self, source: Source, user_id: str, public_key: str | None, algorithm: WrapName) -> PreparedKey:
        """Return the content key of a pack, for a device.

        Raises:
            ApiError: VALIDATION_FAILED for a missing or bad public key; SERVICE_UNAVAILABLE.
        """
        try:
            point = parse_device_key(public_key)
        except ApiError:
            self._viewers.record_failure(user_id)
            raise
        return PreparedKey(source, await self._content_keys.get(source), point, algorithm.algorithm)
