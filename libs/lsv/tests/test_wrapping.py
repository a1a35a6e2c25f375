"""Content keys at rest: wrapped by a master key, which can be replaced."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsv import ContentKey, MasterKeys, WrapAlgorithm
from lsv.errors import LsvError, UnknownMasterKeyError, UnsupportedPackError, WrappedKeyError
from lsv.tests import second_reader
from lsv.tests.packs import KEY

MASTER, NEWER = bytes([1] * 32), bytes([2] * 32)
secrets = st.binary(min_size=32, max_size=32)
each_algorithm = pytest.mark.parametrize("algorithm", list(WrapAlgorithm), ids=lambda each: each.name)


@settings(deadline=None)
@given(secrets, secrets, st.uuids(), st.sampled_from(WrapAlgorithm))
def test_both_readers_unwrap_what_was_wrapped(
    master: bytes, secret: bytes, key_id: UUID, algorithm: WrapAlgorithm
) -> None:
    key = ContentKey(key_id, secret)
    wrapped = MasterKeys(master).wrap(key, algorithm)
    assert secret not in wrapped
    assert MasterKeys(master).unwrap(wrapped, key_id=key_id) == key
    assert second_reader.unwrap(wrapped, master, key_id.bytes) == secret


@each_algorithm
def test_every_flipped_bit_is_refused(algorithm: WrapAlgorithm) -> None:
    ring = MasterKeys(MASTER)
    wrapped = ring.wrap(KEY, algorithm)
    for bit in range(len(wrapped) * 8):
        changed = bytearray(wrapped)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LsvError):
            ring.unwrap(bytes(changed), key_id=KEY.id)
        with pytest.raises(second_reader.RefusedError):
            second_reader.unwrap(bytes(changed), MASTER, KEY.id.bytes)


@each_algorithm
def test_any_other_length_is_refused(algorithm: WrapAlgorithm) -> None:
    ring = MasterKeys(MASTER)
    wrapped = ring.wrap(KEY, algorithm)
    for other in (*(wrapped[:length] for length in range(len(wrapped))), wrapped + b"\0", wrapped + bytes(8)):
        with pytest.raises(WrappedKeyError):
            ring.unwrap(other, key_id=KEY.id)
        with pytest.raises(second_reader.RefusedError):
            second_reader.unwrap(other, MASTER, KEY.id.bytes)


@each_algorithm
def test_key_under_name_of_another_is_refused(algorithm: WrapAlgorithm) -> None:
    """Rows of a database may be exchanged, and their ids with them."""
    ring, other = MasterKeys(MASTER), uuid4()
    wrapped = ring.wrap(KEY, algorithm)
    with pytest.raises(WrappedKeyError, match="this is content key"):
        ring.unwrap(wrapped, key_id=other)
    with pytest.raises(WrappedKeyError, match="not authentic"):
        ring.unwrap(wrapped[:20] + other.bytes + wrapped[36:], key_id=other)


@each_algorithm
def test_newer_master_key_takes_over_what_older_one_wrapped(algorithm: WrapAlgorithm) -> None:
    wrapped = MasterKeys(MASTER).wrap(KEY, algorithm)
    ring = MasterKeys(NEWER, [MASTER])
    assert not ring.is_current(wrapped)
    rewrapped = ring.rewrap(wrapped, key_id=KEY.id)
    assert ring.is_current(rewrapped)
    assert rewrapped[1] == wrapped[1] == algorithm
    assert MasterKeys(NEWER).unwrap(rewrapped, key_id=KEY.id) == KEY


def test_master_key_that_is_missing_is_named() -> None:
    wrapped = MasterKeys(MASTER).wrap(KEY)
    with pytest.raises(UnknownMasterKeyError, match=MasterKeys(MASTER).current_id.hex()):
        MasterKeys(NEWER).unwrap(wrapped, key_id=KEY.id)


@pytest.mark.parametrize(("at", "field"), [(0, "wrap version"), (1, "wrap algorithm"), (2, "wrap key derivation")])
@pytest.mark.parametrize("value", [0, 3])
def test_unknown_versions_and_algorithms_are_named(at: int, field: str, value: int) -> None:
    wrapped = bytearray(MasterKeys(MASTER).wrap(KEY))
    wrapped[at] = value
    with pytest.raises(UnsupportedPackError) as caught:
        MasterKeys(MASTER).unwrap(bytes(wrapped), key_id=KEY.id)
    assert (caught.value.field, caught.value.value) == (field, value)


@pytest.mark.parametrize("scope", [0, 2, 3])
def test_key_of_scope_of_licences_is_refused(scope: int) -> None:
    wrapped = bytearray(MasterKeys(MASTER).wrap(KEY))
    wrapped[3] = scope
    with pytest.raises(WrappedKeyError, match=f"scope {scope}"):
        MasterKeys(MASTER).unwrap(bytes(wrapped), key_id=KEY.id)


def test_wraps_by_aes_gcm_differ_each_time() -> None:
    ring = MasterKeys(MASTER)
    assert ring.wrap(KEY, WrapAlgorithm.AES_GCM) != ring.wrap(KEY, WrapAlgorithm.AES_GCM)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ContentKey(uuid4(), bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKeys(bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKeys(MASTER, [bytes(length)])


def test_secret_is_not_shown() -> None:
    key = ContentKey.generate()
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
    assert repr(key) == f"ContentKey(id={key.id!r})"


def test_generated_keys_differ() -> None:
    first, second = ContentKey.generate(), ContentKey.generate()
    assert first.id != second.id
    assert first.secret != second.secret
