"""Secrets in base64: in settings, and in files that are made when they are not there."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from kit.settings import SettingsError

KEY_BYTES: Final = 32


def decode(text: str) -> bytes:
    """Return the bytes of base64 or base64url, with or without padding. Raise ValueError for anything else."""
    stripped = text.strip().rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except binascii.Error:
        # Not its own text, which tells about the secret.
        raise ValueError("it is no base64") from None


def decode_key(text: str) -> bytes:
    """Return a key of exactly 32 bytes. Raise ValueError for anything else."""
    key = decode(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"it must be base64 of {KEY_BYTES} bytes")
    return key


def read_or_create(path: Path, setting: str) -> bytes:
    """Return the secret in a file. Create one of 32 bytes, readable by its owner only, when the file is missing.

    Replicas that share a folder and start together get the same secret.

    Args:
        path: the file.
        setting: the variable that names it, for errors.

    Raises:
        SettingsError: it can't be read or created.
    """
    try:
        if not path.exists():
            _create(path)
        return decode(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{setting} can't be used: {path.name} is no readable key ({error}).") from error


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "w") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Whole or not at all, and never over one that another replica created first.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
