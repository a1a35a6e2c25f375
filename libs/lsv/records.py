"""Encrypt and decrypt single records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from lsv import layout
from lsv.errors import RecordAuthenticationError

if TYPE_CHECKING:
    from lsv.keys import PackKeys
    from lsv.layout import PackDescription


def seal(plaintext: bytes, *, index: int, nonce: bytes, description: PackDescription, keys: PackKeys) -> bytes:
    """Return the record: nonce, ciphertext and tag. A nonce must never be used twice in a pack."""
    return nonce + keys.encrypt(nonce, plaintext, layout.record_scope(description, index))


def unseal(record: bytes, *, index: int, description: PackDescription, keys: PackKeys) -> bytes:
    """Return the plaintext of a record. Raise RecordAuthenticationError unless it belongs exactly there."""
    nonce, sealed = record[: layout.NONCE_BYTES], record[layout.NONCE_BYTES :]
    if len(sealed) < layout.TAG_BYTES:
        raise RecordAuthenticationError(index)
    try:
        return keys.decrypt(nonce, sealed, layout.record_scope(description, index))
    except InvalidTag:
        raise RecordAuthenticationError(index) from None
