"""The file with the secret that signs tickets. Redis does not hold it, so that tickets outlive Redis's data."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from kit.settings import SettingsError
from services.stream.sessions.tickets import MIN_KEY_BYTES


def load(path: Path) -> bytes:
    """Read the key: base64url of 32 bytes or more. Create one, readable by its owner only, when it is missing.

    Replicas that share a folder and start together get the same key.

    Raises:
        SettingsError: it can't be read or created.
    """
    try:
        if not path.exists():
            _create(path)
        text = path.read_text().strip()
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (OSError, ValueError, binascii.Error) as error:
        sentence = f"MARQUEE_TICKET_KEY_FILE can't be used: {path.name} is no readable key ({error})."
        raise SettingsError(sentence) from error
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(f"MARQUEE_TICKET_KEY_FILE can't be used: the key has less than {MIN_KEY_BYTES} bytes.")
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "w") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(MIN_KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Whole or not at all, and never over one that another replica created first.
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
