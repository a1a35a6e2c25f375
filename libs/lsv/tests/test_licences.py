"""Keys wrapped for a device: only that device unwraps them, and only for what they are bound to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lsv import ContentKey, WrapAlgorithm
from lsv.errors import InvalidPublicKeyError
from lsv.licences import (
    Binding,
    OfflineBinding,
    OnlineBinding,
    WrappedForDevice,
    parse_public_key,
    wrap_for_device,
    wrap_with,
)
from lsv.tests.forge import VECTORS
from lsv.tests.licence_client import Device
from lsv.tests.packs import KEY
from lsv.tests.second_reader import RefusedError, hkdf

SESSION = UUID("018f6e2a-0000-7000-8000-00000000005e")
VIDEO = UUID("018f6e2a-0000-7000-8000-0000000000c0")
DEVICE = UUID("6b1f3a52-3333-4333-8333-00000000000d")
EXPIRES_AT = 1_800_000_000
ONLINE, OFFLINE = OnlineBinding(SESSION, VIDEO), OfflineBinding(VIDEO, DEVICE, EXPIRES_AT)
ALGORITHMS = list(WrapAlgorithm)
FILE = VECTORS / "licences-v1.json"
DEVICE_SCALAR, SERVER_SCALAR = 0x1234567890ABCDEF << 64, 0xFEDCBA0987654321 << 80
NONCE = bytes(range(0xA0, 0xAC))


def vectors() -> dict[str, Any]:
    """The vectors in the repository, made anew. To write them: `python -m lsv.tests.test_licences`."""
    device = Device(DEVICE_SCALAR)
    server_key = ec.derive_private_key(SERVER_SCALAR, ec.SECP256R1())
    made: dict[str, Any] = {
        "content_key": KEY.secret.hex(),
        "content_key_id": KEY.id.bytes.hex(),
        "device_private_key": DEVICE_SCALAR.to_bytes(32, "big").hex(),
        "device_public_key": device.point.hex(),
        "server_private_key": SERVER_SCALAR.to_bytes(32, "big").hex(),
        "shared_secret": server_key.exchange(ec.ECDH(), parse_public_key(device.point)).hex(),
        "session_id": SESSION.bytes.hex(),
        "video_id": VIDEO.bytes.hex(),
        "device_id": DEVICE.bytes.hex(),
        "expires_at": EXPIRES_AT,
        "nonce": NONCE.hex(),
    }
    bindings: dict[str, Binding] = {"online": ONLINE, "offline": OFFLINE}
    for scope, binding in bindings.items():
        for algorithm in ALGORITHMS:
            wrapped = wrap_with(server_key, KEY, parse_public_key(device.point), binding, algorithm, NONCE)
            made["server_public_key"] = wrapped.server_public_key.hex()
            prefix = wrapped.wrapped_key[:20]
            salt = device.point + wrapped.server_public_key
            info = binding.info(prefix)
            made[f"{scope}_{algorithm.name.lower()}"] = {
                "info": info.hex(),
                "wrapping_key": hkdf(bytes.fromhex(made["shared_secret"]), salt, info, 32).hex(),
                "wrapped_key": wrapped.wrapped_key.hex(),
            }
    return made


def wrap(device: Device, binding: Binding, algorithm: WrapAlgorithm, key: ContentKey = KEY) -> WrappedForDevice:
    return wrap_for_device(key, parse_public_key(device.point), binding, algorithm)


def open_online(device: Device, wrapped: WrappedForDevice, **changed: bytes) -> bytes:
    bound = {"session_id": SESSION.bytes, "video_id": VIDEO.bytes} | changed
    return device.unwrap_online(wrapped.wrapped_key, wrapped.server_public_key, **bound).content_key


def open_offline(device: Device, wrapped: WrappedForDevice, **changed: Any) -> bytes:
    bound: dict[str, Any] = {"video_id": VIDEO.bytes, "device_id": DEVICE.bytes, "expires_at": EXPIRES_AT} | changed
    return device.unwrap_offline(wrapped.wrapped_key, wrapped.server_public_key, **bound).content_key


def test_vectors_are_up_to_date() -> None:
    assert json.loads(FILE.read_text()) == vectors()


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda each: each.name)
def test_client_unwraps_vectors(algorithm: WrapAlgorithm) -> None:
    known = json.loads(FILE.read_text())
    device, point = Device(int(known["device_private_key"], 16)), bytes.fromhex(known["server_public_key"])
    name = algorithm.name.lower()
    online = WrappedForDevice(point, bytes.fromhex(known[f"online_{name}"]["wrapped_key"]))
    offline = WrappedForDevice(point, bytes.fromhex(known[f"offline_{name}"]["wrapped_key"]))
    assert open_online(device, online) == open_offline(device, offline) == KEY.secret


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda each: each.name)
def test_device_unwraps_key_of_session_and_of_licence(algorithm: WrapAlgorithm) -> None:
    device = Device()
    assert open_online(device, wrap(device, ONLINE, algorithm)) == KEY.secret
    assert open_offline(device, wrap(device, OFFLINE, algorithm)) == KEY.secret


def test_each_answer_has_another_server_key() -> None:
    device = Device()
    wrapped = [wrap(device, ONLINE, WrapAlgorithm.AES_KW) for _ in range(8)]
    assert len({each.server_public_key for each in wrapped}) == len({each.wrapped_key for each in wrapped}) == 8


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda each: each.name)
def test_refuses_what_key_is_not_bound_to(algorithm: WrapAlgorithm) -> None:
    device, other = Device(), b"\x01" * 16
    online, offline = wrap(device, ONLINE, algorithm), wrap(device, OFFLINE, algorithm)
    attempts: list[Callable[[], bytes]] = [
        lambda: open_online(Device(), online),
        lambda: open_online(device, online, session_id=other),
        lambda: open_online(device, online, video_id=other),
        lambda: open_offline(Device(), offline),
        lambda: open_offline(device, offline, video_id=other),
        lambda: open_offline(device, offline, device_id=other),
        lambda: open_offline(device, offline, expires_at=EXPIRES_AT + 1),
        lambda: open_offline(device, online),
        lambda: open_online(device, offline),
        # Another server's point, and a scope that was written over.
        lambda: open_online(device, WrappedForDevice(Device().point, online.wrapped_key)),
        lambda: open_offline(device, WrappedForDevice(online.server_public_key, _with_scope(online.wrapped_key, 3))),
    ]
    for attempt in attempts:
        with pytest.raises(RefusedError):
            attempt()


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda each: each.name)
def test_refuses_every_flipped_bit(algorithm: WrapAlgorithm) -> None:
    device = Device()
    wrapped = wrap(device, OFFLINE, algorithm)
    for bit in range(len(wrapped.wrapped_key) * 8):
        changed = bytearray(wrapped.wrapped_key)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RefusedError):
            open_offline(device, WrappedForDevice(wrapped.server_public_key, bytes(changed)))


@pytest.mark.parametrize(
    "point",
    [
        b"",
        b"\x00",
        b"\x04" + b"\x00" * 64,
        b"\x04" + b"\xff" * 64,
        # Compressed, hybrid, and a byte too many.
        b"\x02" + Device(DEVICE_SCALAR).point[1:33],
        b"\x06" + Device(DEVICE_SCALAR).point[1:],
        Device(DEVICE_SCALAR).point + b"\x00",
        # The y of another point.
        Device(DEVICE_SCALAR).point[:33] + Device(SERVER_SCALAR).point[33:],
    ],
    ids=["empty", "identity", "zero", "above the field", "compressed", "hybrid", "too long", "off the curve"],
)
def test_refuses_invalid_points(point: bytes) -> None:
    with pytest.raises(InvalidPublicKeyError):
        parse_public_key(point)


def _with_scope(wrapped: bytes, scope: int) -> bytes:
    return wrapped[:3] + bytes([scope]) + wrapped[4:]


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=2) + "\n")
